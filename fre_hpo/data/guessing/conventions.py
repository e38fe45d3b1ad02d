"""Layouts with a name, which tell more than pairs: nnU-Net, Cell Tracking Challenge, Kaggle's bowl."""

import re
from collections import Counter

from fre_hpo.data.guessing import folders
from fre_hpo.data.guessing.listing import Layout, Listing, fit, join, stem
from fre_hpo.errors import counted


def nnunet(listing: Listing) -> Layout | None:
    """imagesTr/NAME_0000.png and labelsTr/NAME.png; with labelsTs beside them a test split too."""
    for folder in listing.folders:
        above, _, name = folder.rpartition("/")
        if name != "imagesTr" or not listing.pictures(join(above, "labelsTr")):
            continue
        part = "{split}" if listing.pictures(join(above, "labelsTs")) else "Tr"
        channels = Counter(re.sub(".*_", "", stem(n)) for n in listing.pictures(folder))
        first = min(channels)
        images = join(above, f"images{part}/{{id}}_{first}.*")
        masks = join(above, f"labels{part}/{{id}}.*")
        if (found := fit(listing, images, masks)).pairs:
            notes = _channel_notes(channels, first)
            told = _within(listing, above, "(images|labels)(Tr|Ts)")
            return Layout("nnU-Net", images, masks, found, notes=notes, told=told)
    return None


def _within(listing: Listing, above: str, pattern: str) -> frozenset[str]:
    """The pictures of all folders that belong to a convention."""
    whole = re.compile(re.escape(join(above, "")) + pattern)
    places = [folder for folder in listing.folders if whole.fullmatch(folder)]
    return frozenset(join(place, name) for place in places for name in listing.pictures(place))


def _channel_notes(channels: Counter[str], first: str) -> tuple[str, ...]:
    if len(channels) == 1:
        return ()
    others = ", ".join(f"_{channel}" for channel in sorted(channels) if channel != first)
    return (f"of {len(channels)} channels the first, _{first}, is taken and not {others}",)


def cell_tracking(listing: Listing) -> Layout | None:
    """01/t000.tif and 01_GT/SEG/man_seg000.tif: movies of which some frames are labelled."""
    truths = [f for f in listing.folders if re.fullmatch(r"(.*/)?[0-9]+_(GT|ST)/SEG", f)]
    gold = [folder for folder in truths if folder.endswith("_GT/SEG")] or truths
    if not gold:
        return None
    above = gold[0].rpartition("/")[0].rpartition("/")[0]
    ending = gold[0][-7:]
    images, masks = (
        join(above, "{group}/t{id}.*"),
        join(above, f"{{group}}{ending}/man_seg{{id}}.*"),
    )
    found = fit(listing, images, masks)
    movies = found.distinct("group")
    if not found.pairs:
        return None
    options = {"split": "random"}
    doubts: tuple[str, ...] = ()
    if len(movies) < 3:  # a movie is never divided, and three splits need one each
        movie, count = movies.most_common(1)[0]
        images, masks = (text.replace("{group}", movie) for text in (images, masks))
        others = ", ".join(sorted(set(movies) - {movie}))
        options = {"split": "order"}
        if others:
            doubts = (
                f"Movie {others} is not used: {len(movies)} movies are too few for three splits, so "
                f"{counted(count, 'labelled frame')} of movie {movie} alone are divided in their order",
            )
    return Layout(
        "Cell Tracking Challenge",
        images,
        masks,
        fit(listing, images, masks),
        options,
        doubts=doubts,
        told=_within(listing, above, "[0-9]+(_(GT|ST)/.*)?"),
    )


def mask_per_object(listing: Listing) -> str | None:
    """A clause about folders with one picture and many masks of single objects."""
    found = [
        (family.folders[0], family.partners[0])
        for family in folders.facing(listing.folders)
        if len(family.folders) == 1
        and len(listing.pictures(family.folders[0])) == 1
        and len(listing.pictures(family.partners[0])) > 1
    ]
    if len(found) < 2:
        return None
    images, masks = found[0]
    return f"{len(found)} folders such as {masks} hold many masks for the one picture in {images}"
