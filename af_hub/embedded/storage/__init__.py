"""The storage of a facility on one machine: WebDAV that obeys WLCG tokens.

WsgiDAV on cheroot serves the files; `gate` stands before it and judges every request by the
bearer token alone, as the WLCG Common JWT Profile has it: scopes with paths, compared component
by component. There is no anonymous access and no other way to log in.
"""
