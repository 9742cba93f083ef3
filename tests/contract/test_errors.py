import pickle

from contract.errors import InputError, fault


def test_fault__names_file_field_found_and_wanted():
    assert fault("a.vcf", "FORMAT", found="GT", wanted="GQ") == "a.vcf: FORMAT: found GT, wanted GQ"


def test_input_error__one_or_many_faults():
    assert InputError("a").faults == ["a"]
    assert str(InputError(["a", "b"])) == "a\nb"


def test_input_error__keeps_its_faults_between_processes():
    assert pickle.loads(pickle.dumps(InputError(["a", "b"]))).faults == ["a", "b"]
