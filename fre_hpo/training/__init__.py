"""Training of one network: the loop, its metrics, the batch-norm rule, checkpoints, augmentation."""
