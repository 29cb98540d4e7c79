"""The jobs of an ablation: what a job does, in which order jobs run, and where they run."""
