"""Python code for the notebook. Pure."""

from __future__ import annotations


def client_code(cluster: str, title: str) -> str:
    """Return code that connects a Dask client to a cluster.

    It holds no address and no secret: the Lab's environment names the gateway, and the client
    takes the server's own hub token.

    Parameters
    ----------
    cluster
        Gateway's name of the cluster, hex digits.
    title
        For the comment; one line.
    """
    printable = "".join(each if each.isprintable() else " " for each in title)
    comment = " ".join(printable.split())[:80]
    return (
        f"# Dask cluster: {comment}\n"
        "from dask_gateway import Gateway\n"
        "\n"
        "gateway = Gateway()\n"
        f"cluster = gateway.connect({cluster!r})\n"
        "client = cluster.get_client()\n"
        "client\n"
    )
