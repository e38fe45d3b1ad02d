"""SE-U-Net without the deep layers (Tables 1, 2): the deepest encoder block and the up-step that leaves
it are cut, that is, the network is built from the widths without the last."""

from fre_hpo.methods.method import Method, no_slots

METHOD = Method(
    name="without-deep-layers",
    summary="SE-U-Net without its deepest encoder block",
    parameters=(),
    slots=no_slots,
    without_deepest=True,
)
