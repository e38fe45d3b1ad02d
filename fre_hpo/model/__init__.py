"""The network: an SE-U-Net with three slots (widths, bottleneck, side head)."""
