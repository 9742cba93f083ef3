"""Settings of the burden tests."""

from __future__ import annotations

from pydantic import Field

from contract.config import ConfigModel


class AssociationConfig(ConfigModel):
    """Which gene is tested, and how."""

    fewest_carriers: int = Field(
        5, ge=1, description="carriers below which a channel of a gene is not tested: it would tell of people"
    )
    firth_p: float = Field(
        0.05, ge=0, le=1, description="p of the score test below which Firth's fit takes its place (regenie)"
    )
    min_expected: float = Field(
        5,
        gt=0,
        description="carriers expected among cases and among controls; with fewer Firth's fit takes the "
        "place of the score test, and the gene has no part in the inflation (Cochran 1954)",
    )
