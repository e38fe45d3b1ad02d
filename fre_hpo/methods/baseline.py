"""SE-U-Net: the paper's baseline, the network without any addition."""

from fre_hpo.methods.method import Method, no_slots

METHOD = Method(
    name="baseline",
    summary="SE-U-Net as it is",
    parameters=(),
    slots=no_slots,
)
