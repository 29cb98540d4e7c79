"""Segments as a person sees them: in their classes' colours, outlined and named, and cells in a sheet."""
