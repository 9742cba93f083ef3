from contract.config import build_config
from etl.config import EtlConfig
from etl.thresholds import MaxDeviations
from tests.etl.mini import MiniInputs


def test_resolved_profile__one_of_several_deviations_leaves_the_others(mini: MiniInputs):
    mini.settings["thresholds"] = {"sample": {"max_deviations": {"n_singleton": 6}}}
    sample = build_config(EtlConfig, mini.settings, "test").resolved_profile().sample
    assert sample.max_deviations == MaxDeviations(
        r_ti_tv=4, r_insertion_deletion=4, r_het_hom_var=4, n_singleton=6
    )
    assert sample.min_call_rate == 0.93
