"""Predictions made by other methods: reading them from files, and scoring them."""
