"""What a person sees: one table with many outputs, and talk on stderr."""
