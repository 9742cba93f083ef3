"""How large a cluster the ETL wants, and how long it would take there."""

from etl.sizing.cluster import ClusterSize, size_cluster
from etl.sizing.scale import Scale, scale_of

__all__ = ["ClusterSize", "Scale", "scale_of", "size_cluster"]
