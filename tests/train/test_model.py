import pytest
import torch

from contract.errors import InputError
from train.config import GeneCNNConfig, PaperCNNConfig
from train.convolutions import GenomeConvolution, GenomeConvolutions, InputShape, padded_layout
from train.ensemble import build_model
from train.features import SparseFeatures
from train.model import DirectPath, Fits, GeneCNN, PaperCNN


def test_padded_layout__by_hand():
    assert padded_layout(["1", "1", "1", "2", "X"], window=4, gap=1) == [
        0,
        1,
        2,
        -1,
        3,
        -1,
        -1,
        -1,
        4,
        -1,
        -1,
        -1,
    ]


def test_padded_layout__gap_where_a_chromosome_fills_its_window():
    assert padded_layout(["1", "1", "2"], window=2, gap=2) == [0, 1, -1, -1, 2, -1]


def test_genome_convolution__never_crosses_chromosome_ends():
    # Three layers of kernel 5 see 6 genes to either side; the chromosomes stand only 2 places apart.
    torch.manual_seed(0)
    layout = torch.tensor(padded_layout(["1"] * 6 + ["2"] * 6, window=1, gap=2))
    present_L = (layout >= 0).float()
    layers = [GenomeConvolution(n_in, 3, 5, batch_norm=False) for n_in in (1, 3, 3)]
    x_BLI = (torch.rand(1, 12)[:, layout.clamp(min=0)] * present_L)[:, :, None].requires_grad_()
    y_BLF = x_BLI
    for layer in layers:
        y_BLF = layer(y_BLF, present_L)
    first, second = (layout >= 0) & (layout < 6), layout >= 6
    (gradient,) = torch.autograd.grad(y_BLF[:, first].sum(), x_BLI)
    assert gradient[:, first].abs().sum() > 0
    assert gradient[:, second].abs().sum() == 0


@pytest.mark.parametrize("training", [True, False])
def test_genome_convolution__is_torchs_convolution_norm_and_relu(training: bool):
    torch.manual_seed(0)
    layer, norm = GenomeConvolution(3, 4, 5, batch_norm=True), torch.nn.BatchNorm2d(4)
    for state in (layer.norm.weight, layer.norm.bias, layer.norm.running_mean):
        torch.nn.init.normal_(state)
    norm.load_state_dict(layer.norm.state_dict())
    layer.train(training), norm.train(training)
    present_L = (torch.rand(30) > 0.2).float()
    x_BLI = torch.randn(6, 30, 3, requires_grad=True)
    upstream_BLF = torch.randn(6, 30, 4)
    found = layer(x_BLI, present_L)
    expected = torch.relu(norm(layer.convolution(x_BLI.transpose(1, 2).unsqueeze(2)))) * present_L
    expected = expected.squeeze(2).transpose(1, 2)
    torch.testing.assert_close(found, expected)
    inputs = [x_BLI, layer.convolution.weight]
    one = torch.autograd.grad(found, [*inputs, layer.norm.weight, layer.norm.bias], upstream_BLF)
    two = torch.autograd.grad(expected, [*inputs, norm.weight, norm.bias], upstream_BLF)
    for gradient, wanted in zip(one, two, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dict(layer.norm.named_buffers()), dict(norm.named_buffers()))


def test_genome_convolutions__mixtures_are_laid_out_nowhere():
    # The same as mixing the channels first: relevance scales mixtures, not the score.
    torch.manual_seed(0)
    config = GeneCNNConfig(window=4, kernel_size=3, attended_genes=16)
    rest = GenomeConvolutions(config, InputShape(5, 0, ("1",) * 20)).eval()
    x_BLI = torch.randn(2, len(rest.gene_L), 6)
    mixed_BLI = torch.cat([x_BLI[:, :, :5] @ rest.mix.weight.T, x_BLI[:, :, 5:]], dim=2)
    y_BLF = rest.convolutions[0](mixed_BLI, rest.present_L)
    window_BFW = torch.nn.functional.avg_pool1d(y_BLF.transpose(1, 2), 4)
    torch.testing.assert_close(rest(x_BLI), torch.relu(rest.hidden(window_BFW.flatten(1))))


@pytest.mark.parametrize("left_out", [False, True])
@pytest.mark.parametrize(("gate", "n_sets"), [(0.0, 0), (0.1, 0), (0.1, 2)])
def test_gene_cnn__sparse_features_are_the_dense_ones(left_out: bool, gate: float, n_sets: int):
    torch.manual_seed(0)
    contigs = ("1",) * 25 + ("2",) * 15
    model = GeneCNN(GeneCNNConfig(window=4, attended_genes=20), InputShape(3, 1, contigs)).eval()
    fill_direct(model.direct, n_sets, gate)
    model.rest.attend(model.direct.order_G, torch.rand(40), contigs)
    torch.nn.init.normal_(model.head.weight)
    zero_CG, value_BF = torch.randn(3, 40), torch.randn(6, 120) * (torch.rand(6, 120) < 0.2)
    row_N, index_N = torch.nonzero(value_BF, as_tuple=True)
    x_BCG = (zero_CG.flatten() + value_BF).view(6, 3, 40)
    sparse = SparseFeatures(6, row_N, index_N, value_BF[row_N, index_N], zero_CG, lambda: x_BCG)
    group_B = torch.tensor([1, 0, 1, 2, 0, 1]) if left_out else None
    covariates_BP = torch.randn(6, 1)
    expected_B = model(x_BCG, covariates_BP, group_B)
    torch.testing.assert_close(model(sparse, covariates_BP, group_B), expected_B, rtol=1e-5, atol=1e-4)
    assert expected_B.std() > 1


def fill_direct(direct: DirectPath, n_sets: int, gate: float) -> None:
    """Random gene effects in three fits, with chosen sets of genes."""
    n_channels, n_genes = direct.scout_CG.shape
    fits = Fits(
        torch.randn(3, n_channels, n_genes),
        torch.randn(3, n_channels, n_genes),
        torch.randn(3, n_genes),
        torch.randn(3),
        torch.randn(3, n_sets) / 10,
    )
    direct.left_out = fits
    direct.scout_CG.copy_(fits.scout_KCG[0])
    direct.reader_CG.copy_(fits.reader_KCG[0])
    direct.constant_G.copy_(fits.constant_KG[0])
    direct.gate.fill_(gate)
    direct.order_G.copy_(torch.cat([torch.randperm(25), 25 + torch.randperm(15)]))
    if n_sets:
        direct.sets.choose(torch.arange(5), (torch.rand(5, n_sets) < 0.5).float(), fits.set_weight_KS[0])


def test_genome_convolutions__windows_hold_one_chromosome():
    config = GeneCNNConfig(window=4, kernel_size=3)
    rest = GenomeConvolutions(config, InputShape(1, 0, ("1",) * 5 + ("2",) * 3))
    windows = rest.gene_L.view(-1, 4)
    present = rest.present_L.view(-1, 4).bool()
    assert present.sum() == 8
    for genes, here in zip(windows, present, strict=True):
        assert len({gene.item() >= 5 for gene in genes[here]}) <= 1


def test_attend__most_relevant_genes_in_their_order():
    config = GeneCNNConfig(window=2, kernel_size=1, attended_genes=3)
    rest = GenomeConvolutions(config, InputShape(1, 0, ("1", "1", "1", "2", "2")))
    relevance = torch.tensor([0.1, 0.9, 0.5, 0.8, 0.2])
    rest.attend(torch.arange(5), relevance, ("1", "1", "1", "2", "2"))
    assert rest.gene_L[rest.present_L.bool()].tolist() == [1, 2, 3]
    rest.attend(torch.tensor([2, 1, 0, 4, 3]), relevance, ("1", "1", "1", "2", "2"))
    assert rest.gene_L[rest.present_L.bool()].tolist() == [2, 1, 3]
    assert rest.relevance_L[rest.present_L.bool()].tolist() == pytest.approx([0.5, 0.9, 0.8])


def test_gene_cnn__untrained_answer_is_the_case_share():
    torch.manual_seed(0)
    model = GeneCNN(GeneCNNConfig(), InputShape(2, 1, ("1",) * 40)).eval()
    model.start_from(0.25)
    probability_B = torch.sigmoid(model(torch.randn(5, 2, 40), torch.randn(5, 1)))
    torch.testing.assert_close(probability_B, torch.full((5,), 0.25), atol=1e-3, rtol=0)


def test_direct_path__logit_by_hand():
    # Two channels, three genes, the third on another chromosome: a neighbour of none.
    direct = DirectPath(InputShape(2, 0, ("1", "1", "2")), reach=5)
    direct.scout_CG.copy_(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.5, 0.0]]))
    direct.reader_CG.copy_(torch.tensor([[1.0, 1.0, 1.0], [0.0, 2.0, 0.0]]))
    direct.constant_G.copy_(torch.tensor([0.5, 0.0, 0.0]))
    direct.centre.fill_(0.25)
    x_BCG = torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    # Readers: 1 + 0.5, 2 + 10, 3; scouts: 1, 4 + 2.5, 9.
    assert direct(x_BCG, None).item() == pytest.approx(1.5 + 12 + 3 - 0.25)
    assert direct.scores(x_BCG, torch.arange(3), None)[0].tolist() == pytest.approx([1.0, 6.5, 9.0])
    direct.gate.fill_(0.1)
    gated = 1.5 * (1 + 0.1 * 6.5) + 12 * (1 + 0.1 * 1.0) + 3
    assert direct(x_BCG, None).item() == pytest.approx(gated - 0.25)


def test_direct_path__people_in_training_are_scored_by_the_fit_without_them():
    direct = DirectPath(InputShape(1, 0, ("1", "1")), reach=1)
    direct.reader_CG.copy_(torch.tensor([[10.0, 10.0]]))
    reader_KCG = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]])
    zero_K = torch.zeros(2)
    direct.left_out = Fits(torch.zeros(2, 1, 2), reader_KCG, torch.zeros(2, 2), zero_K, torch.zeros(2, 0))
    x_BCG = torch.ones(3, 1, 2)
    assert direct(x_BCG, torch.tensor([1, 0, 1])).tolist() == [2.0, 1.0, 2.0]
    assert direct(x_BCG, None).tolist() == [20.0] * 3


@pytest.mark.parametrize("gate", [0.0, 0.1])
def test_gene_cnn__gene_effects_and_covariates_are_exact_in_mixed_precision(gate: float):
    torch.manual_seed(0)
    model = GeneCNN(GeneCNNConfig(), InputShape(2, 1, ("1",) * 40)).eval()
    model.direct.gate.fill_(gate)
    shapes = ((1, 2, 40), (1, 2, 40), (1, 40), (1,), (1, 0))
    fits = (torch.randn(shape).expand(2, *shape[1:]) for shape in shapes)
    model.direct.left_out = Fits(*fits)
    torch.nn.init.constant_(model.covariate_P, 0.3)
    inputs = torch.randn(6, 2, 40), torch.randn(6, 1), torch.arange(6) % 2
    with torch.autocast("cpu", torch.bfloat16):
        mixed_B = model(*inputs)
    torch.testing.assert_close(mixed_B, model(*inputs))


def test_gene_cnn__switched_off_convolutions_say_nothing():
    torch.manual_seed(0)
    model = GeneCNN(GeneCNNConfig(), InputShape(1, 0, ("1",) * 40)).eval()
    torch.nn.init.ones_(model.head.weight)
    x_BCG, none = torch.randn(4, 1, 40), torch.empty(4, 0)
    on = model(x_BCG, none)
    model.load_state_dict(model.without_rest(model.state_dict()))
    off = model(x_BCG, none)
    assert model.hidden_units(x_BCG).shape == (4, 0)
    assert on.abs().max() > 1e-3
    assert off.tolist() == [0.0] * 4


def test_gene_cnn__even_kernel():
    with pytest.raises(ValueError, match="an odd number of genes"):
        GeneCNNConfig(kernel_size=4)


def test_paper_cnn__size_of_the_publication():
    # 18,970 features: 9,711,313 numbers, counting the running means and variances.
    model = PaperCNN(PaperCNNConfig(), InputShape(1, 0, ("1",) * 18_970))
    running = sum(buffer.numel() for name, buffer in model.named_buffers() if name.endswith(("mean", "var")))
    assert sum(weight.numel() for weight in model.parameters()) + running == 9_711_313
    assert model.dense.weight.numel() == 75_856 * 128


@pytest.mark.parametrize("config", [GeneCNNConfig(), GeneCNNConfig(layers=3, window=1), PaperCNNConfig()])
def test_build_model__one_logit_for_each_person(config: GeneCNNConfig | PaperCNNConfig):
    model = build_model(config, InputShape(4, 3, ("1",) * 30 + ("2",) * 21))
    assert model(torch.randn(6, 4, 51), torch.randn(6, 3)).shape == (6,)


def test_paper_cnn__hidden_units_are_what_the_head_sees():
    torch.manual_seed(0)
    model = PaperCNN(PaperCNNConfig(dense=8), InputShape(1, 0, ("1",) * 40)).eval()
    x_BCG, none = torch.randn(4, 1, 40), torch.empty(4, 0)
    hidden_BH = model.hidden_units(x_BCG)
    assert hidden_BH.shape == (4, 8)
    torch.testing.assert_close(model.head(hidden_BH).squeeze(1), model(x_BCG, none))


def test_paper_cnn__least_number_of_genes():
    # Kernels of 3: of 10 genes 8 places are left, then 4, 2 and at last 1.
    build_model(PaperCNNConfig(), InputShape(1, 0, ("1",) * 10))
    with pytest.raises(InputError, match=r"found 9 genes for the paper's network .* wanted at least 10"):
        build_model(PaperCNNConfig(), InputShape(1, 0, ("1",) * 9))


def with_sets() -> DirectPath:
    """One channel, four genes; the first three are a set, the last two another."""
    direct = DirectPath(InputShape(1, 0, ("1",) * 4), reach=1)
    direct.scout_CG.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    direct.reader_CG.copy_(torch.tensor([[1.0, 1.0, 1.0, 10.0]]))
    member_US = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    direct.sets.choose(torch.arange(4), member_US, torch.tensor([0.5, 0.1]))
    return direct


def test_direct_path__sets_by_hand():
    # Scouts 1, 2, 3, 4: others of the first set have 5, 4, 3, of the second 4 (third gene) and 3 (fourth).
    wanted = 1 * (1 + 0.5 * 5) + 1 * (1 + 0.5 * 4) + 1 * (1 + 0.5 * 3 + 0.1 * 4) + 10 * (1 + 0.1 * 3)
    assert with_sets()(torch.ones(1, 1, 4), None).item() == pytest.approx(wanted)


def test_direct_path__sets_come_back_from_the_weights():
    weights, again = with_sets().state_dict(), DirectPath(InputShape(1, 0, ("1",) * 4), reach=1)
    again.load_state_dict(weights)
    x_BCG = torch.randn(3, 1, 4)
    assert torch.equal(again(x_BCG, None), with_sets()(x_BCG, None))
    # Weights of a network that knew no sets.
    old = {name: tensor for name, tensor in weights.items() if not name.startswith("sets.")}
    plain = DirectPath(InputShape(1, 0, ("1",) * 4), reach=1)
    plain.load_state_dict(old)
    assert plain(torch.ones(1, 1, 4), None).item() == pytest.approx(13.0)


@pytest.mark.parametrize(("name", "change"), [("sets.gene_U", 7), ("sets.weight_S", None)])
def test_direct_path__sets_that_do_not_fit_are_refused(name: str, change: int | None):
    weights = with_sets().state_dict()
    weights[name] = weights[name][:1] if change is None else weights[name] + change
    with pytest.raises(RuntimeError, match=r"size mismatch for sets\.member_US"):
        DirectPath(InputShape(1, 0, ("1",) * 4), reach=1).load_state_dict(weights)
