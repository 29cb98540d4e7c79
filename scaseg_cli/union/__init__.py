"""Stage 3, union-finetune: the class projector alone, on real seen and generated unseen embeddings."""
