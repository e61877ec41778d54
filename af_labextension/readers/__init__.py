"""Readers that survive the expiry of tokens: in kernels, scripts and Dask workers.

Programs that read with the user's token live for days, tokens for an hour. Two kinds of readers do
not notice that the token file has a new one:

- An XRootD connection keeps the token it logged in with; when that has expired, the server refuses
  every further request on it (xrootd #1784), and the client library keeps one connection for each
  ``user@host:port``. So each token gets a connection name of its own
  (`af_labextension.readers.xrootd`).
- A program over https is given a header once. So each request gets the header of the moment
  (`af_labextension.readers.http`).

Both are done where all readers pass, uproot, fsspec, coffea and Dask alike, when the library in
question is first imported, and nothing is imported before the user does. A ``.pth`` file beside the
installed package starts it in every Python of the environment (`af_labextension.readers.start`);
``AF_READERS=off`` in the environment of a process turns it off.

The Jupyter server imports nothing of it but what every Python does.
"""
