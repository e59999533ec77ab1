"""What the parts of a model's manifest have in common."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Does not change once it is read; fields that a later version adds are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")
