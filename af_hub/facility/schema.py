"""JSON Schema of the facility file, for editors and for the reference."""

from __future__ import annotations

from typing import Any

from af_hub.facility.models import FacilityConfig


def schema() -> dict[str, Any]:
    """Describe the facility file as JSON Schema 2020-12, every field with its description."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FacilityConfig.model_json_schema(),
        "title": "Facility file of analysis-facility",
    }
