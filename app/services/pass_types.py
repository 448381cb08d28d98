"""Which pass type, and so which signing identity, a programme uses."""

from app.services.context import Context
from certs.identity import CertificateError, SigningIdentity, folders


def pass_type(ctx: Context, named: str) -> str:
    """The pass type that a programme uses: the one that it names, else the installation's only one, else ''."""
    if named:
        return named
    names = _names(ctx)
    return names[0] if len(names) == 1 else ""


def _names(ctx: Context) -> list[str]:
    return [folder.name for folder in folders(ctx.settings.data / "certs")]


def identity_of(ctx: Context, named: str) -> SigningIdentity:
    """The programme's signing identity; for a programme that names none, the installation's only one."""
    if found := pass_type(ctx, named):
        return ctx.identity(found)
    if names := _names(ctx):
        raise CertificateError(
            f"The programme names no pass type identifier, and there are several certificates: {', '.join(names)}. "
            "Choose one in the office"
        )
    raise CertificateError(
        "This installation has no signing certificate. Run: leima certs import FILE (or, to try things out: "
        "leima certs dev)"
    )
