"""A group of verbs."""

from __future__ import annotations

import click

from fre_hpo.errors import nearest


class Verbs(click.Group):
    """The verbs in the order of a study's life; a misspelt one is answered with the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"There is no verb {args[0]!r}: {nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)
