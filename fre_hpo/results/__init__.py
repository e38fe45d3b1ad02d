"""From the ledger to what people look at: figures, pictures, notes."""
