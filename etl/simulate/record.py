"""What truth.json says about a study that was just written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from etl.simulate import reference
from etl.simulate.config import SimulateConfig
from etl.simulate.people import kinship
from etl.simulate.sites import DEFECTS
from etl.simulate.study import Study
from etl.simulate.truth import (
    TRUTH_VERSION,
    BadVariantTruth,
    CausalGeneTruth,
    InteractionTruth,
    PersonTruth,
    PopulationTruth,
    RelatedPairTruth,
    Truth,
    oracle_auroc,
)

ORACLE_KNOWS = (
    "true effects of all alleles and of ancestry; neither the environment nor how people were sequenced"
)


@dataclass(frozen=True)
class Provenance:
    """SHA-256 of the other files by name, digest of settings and code, versions of the software."""

    files: dict[str, str]
    config_digest: str
    software: dict[str, str]


def build_truth(config: SimulateConfig, study: Study, written: np.ndarray, provenance: Provenance) -> Truth:
    """
    Collect every planted thing.

    Parameters
    ----------
    config, study
        What was simulated.
    written
        Which alleles came into the VCF; bad variants that nobody was called for are not in it.
    provenance
        What the files were made from.
    """
    in_file = study.alleles.rows(np.flatnonzero(written))
    truth = Truth(
        format_version=TRUTH_VERSION,
        seed=config.seed,
        config=config.result_settings(),
        config_digest=provenance.config_digest,
        software=provenance.software,
        files=provenance.files,
        alleles=len(in_file),
        sites=len(in_file.site_starts()),
        genes=config.genes.count,
        oracle_auroc=0.5,
        oracle_knows=ORACLE_KNOWS,
        batch_auroc=_batch_auroc(config, study),
        population=_population(study),
        people=_people(config, study),
        related_pairs=_related_pairs(study),
        bad_variants=_bad_variants(config, study, written),
        causal_genes=_causal_genes(config, study),
        interactions=tuple(
            InteractionTruth(genes=tuple(study.loci[locus].gene_id for locus in group), effect=effect)
            for group, effect in study.liabilities.interactions
        ),
    )
    return truth.model_copy(update={"oracle_auroc": oracle_auroc(truth)})


def _batch_auroc(config: SimulateConfig, study: Study) -> float:
    """AUROC of the share of cases that a person's kit has."""
    is_case, kit = study.people.is_case, study.people.kit
    cases = np.bincount(kit[is_case], minlength=len(config.kits))
    share = cases / np.maximum(np.bincount(kit, minlength=len(config.kits)), 1)
    return float(roc_auc_score(is_case, share[kit]))


def _population(study: Study) -> PopulationTruth:
    drawn = study.liabilities
    intrinsic = drawn.total - (drawn.predictable - drawn.genetic)
    return PopulationTruth(
        people=study.population_size,
        cases=int(drawn.is_case.sum()),
        threshold=drawn.threshold,
        genetic_variance=float(drawn.genetic.var()),
        liability_variance=float(drawn.total.var()),
        heritability=float(np.corrcoef(drawn.genetic, intrinsic)[0, 1] ** 2),
    )


def _people(config: SimulateConfig, study: Study) -> tuple[PersonTruth, ...]:
    people, drawn = study.people, study.liabilities
    reported, populations = people.reported_sex, config.population.populations()
    result = []
    for i, sample_id in enumerate(people.sample_id):
        kit = config.kits[people.kit[i]]
        place = study.visible[i]
        person = PersonTruth(
            sample_id=sample_id,
            status="case" if people.is_case[i] else "control",
            sex="female" if people.female[i] else "male",
            reported_sex=reported[i],
            kit=kit.name,
            batch=kit.batch,
            contamination=round(float(people.contamination[i]), 4),
            contaminated_by=people.sample_id[people.donor[i]] if people.donor[i] >= 0 else None,
            low_quality=bool(people.low_quality[i]),
            ancestry=config.population.ancestries[people.ancestry[i]].name,
            ancestry_outlier=config.population.ancestries[people.ancestry[i]].outlier,
            populations={
                name: round(float(share), 4)
                for name, share in zip(populations, study.population_shares[i], strict=True)
            },
            genetic_liability=float(drawn.genetic[place]),
            predictable_liability=float(drawn.predictable[place]),
            liability=float(drawn.total[place]),
        )
        result.append(person)
    return tuple(result)


def _related_pairs(study: Study) -> tuple[RelatedPairTruth, ...]:
    names = study.people.sample_id
    return tuple(
        RelatedPairTruth(
            sample_a=names[pair.first],
            sample_b=names[pair.second],
            kind=pair.kind,
            kinship=kinship(pair),
            declared=pair.declared,
        )
        for pair in study.people.pairs
    )


def _bad_variants(config: SimulateConfig, study: Study, written: np.ndarray) -> tuple[BadVariantTruth, ...]:
    alleles, bad = study.alleles, []
    for row in np.flatnonzero((alleles.defect > 0) & written):
        kind = DEFECTS[alleles.defect[row]]
        group = None
        if kind == "differential_missingness":
            group = "case" if alleles.group[row] else "control"
        elif kind == "batch_artefact":
            group = config.kits[alleles.group[row]].name
        bad.append((int(row), kind, round(float(alleles.strength[row]), 4), group))
    bad += [(int(row), "off_target", 1.0, None) for row in np.flatnonzero(alleles.off_target & written)]
    poor = alleles.poor & (written & ~alleles.off_target & (alleles.defect == 0))[:, None]
    bad += [(int(row), "poor_coverage", 1.0, config.kits[kit].name) for row, kit in np.argwhere(poor)]
    return tuple(
        BadVariantTruth(
            kind=kind,
            contig=reference.contig_name(config.reference_genome, int(alleles.chromosome[row])),
            position=int(alleles.position[row]),
            ref=alleles.ref[row],
            alt=alleles.alt[row],
            strength=strength,
            group=group,
            copies=int(alleles.dosage[row].sum(dtype=np.int64)),
        )
        for row, kind, strength, group in bad
    )


def _causal_genes(config: SimulateConfig, study: Study) -> tuple[CausalGeneTruth, ...]:
    result = []
    for effect in study.liabilities.effects:
        locus = study.loci[effect.locus]
        gene = CausalGeneTruth(
            gene_id=locus.gene_id,
            symbol=locus.symbol,
            contig=reference.contig_name(config.reference_genome, locus.chromosome),
            start=locus.start,
            end=locus.end,
            plof_effect=effect.plof,
            damaging_missense_effect=effect.damaging_missense,
            other_missense_effect=effect.other_missense,
            constraint=round(locus.constraint, 4),
        )
        result.append(gene)
    return tuple(result)
