import pyarrow as pa
import pytest

from contract.errors import InputError
from contract.schema import GENE_SCHEMA, SAMPLE_SCHEMA, check_schema


def test_check_schema__same_columns_in_any_order_and_nullability():
    shuffled = pa.schema([pa.field(field.name, field.type) for field in reversed(list(GENE_SCHEMA))])
    check_schema(shuffled, GENE_SCHEMA, "genes.parquet")


def test_check_schema__element_names_of_lists_do_not_matter():
    lists = {"covariates": pa.float32(), "indices": pa.int32(), "values": pa.float32()}
    spark = pa.schema(
        [
            pa.field(field.name, pa.list_(pa.field("element", lists[field.name])))
            if field.name in lists
            else field
            for field in SAMPLE_SCHEMA
        ]
    )
    check_schema(spark, SAMPLE_SCHEMA, "part.parquet")


def test_check_schema__tells_every_column_at_once():
    found = GENE_SCHEMA.remove(1).set(0, pa.field("position", pa.int64())).append(pa.field("more", pa.int8()))
    with pytest.raises(InputError) as told:
        check_schema(found, GENE_SCHEMA, "genes.parquet")
    assert told.value.faults == [
        "genes.parquet: position: found int64, wanted int32",
        "genes.parquet: gene_id: found no such column, wanted string",
        "genes.parquet: more: found a column, wanted no column outside the contract",
    ]
