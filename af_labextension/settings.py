"""Names under which the parts of the extension find each other in the tornado settings."""

from __future__ import annotations

HUB = "af_hub_client"
"""`af_labextension.hub.HubClient`, or ``None`` in a Lab without a hub."""

TOKENS = "af_tokens"
"""`af_labextension.tokens.provider.TokenProvider`."""

KEEPER = "af_token_keeper"
"""`af_labextension.tokens.keeper.TokenKeeper`, or ``None`` where nobody keeps a token file."""

AUDIENCES = "af_audiences"
"""`af_labextension.tokens.audiences.Audiences`: what there are tokens for."""

AUDIENCE_FILES = "af_audience_files"
"""`af_labextension.tokens.audience_files.AudienceFiles`, or ``None`` where none are kept."""

AGENT = "af_agent"
"""`af_labextension.tokens.agent.server.AgentSocket`, or ``None`` where there is none."""

AGENT_ACCOUNT = "af_agent_account"
"""Name by which programs ask the agent for a token."""

DOORS = "af_doors"
"""`af_labextension.data.doors.Doors`."""

SOURCES = "af_sources"
"""`af_labextension.data.sources.Sources`."""

RUCIO = "af_rucio"
"""`af_labextension.rucio.client.RucioClient`."""

RUCIO_PLACE = "af_rucio_place"
"""`af_labextension.rucio.settings.RucioPlace`: where Rucio is, and the rules of the cache."""

ENDS = "af_ends"
"""`af_labextension.ends.service.EndsService`: when this server ends by itself."""

MEMORY = "af_memory"
"""`af_labextension.memory.service.MemoryService`."""
