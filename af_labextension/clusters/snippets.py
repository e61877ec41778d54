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
    return (
        f"# Dask cluster: {_one_line(title)}\n"
        "from dask_gateway import Gateway\n"
        "\n"
        "gateway = Gateway()\n"
        f"cluster = gateway.connect({cluster!r})\n"
        "client = cluster.get_client()\n"
        "client\n"
    )


def lab_client_code(cluster: str, title: str) -> str:
    """Return code that connects a Dask client to a cluster inside the user's server.

    It holds no address and no secret: the cluster's own process gives both to its own user.
    """
    return (
        f"# Dask cluster: {_one_line(title)}\n"
        "from af_labextension import clusters\n"
        "\n"
        f"cluster = clusters.connect({cluster!r})\n"
        "client = cluster.get_client()\n"
        "client\n"
    )


def _one_line(title: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in title)
    return " ".join(printable.split())[:80]
