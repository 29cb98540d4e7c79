"""Output for users: tables in several formats, and messages on stderr."""
