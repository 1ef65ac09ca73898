"""`diarize score verification` and `diarize score identification`: an embedder on trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diarize.cli.options import (
    DeviceName,
    EmbedderName,
    JsonOutput,
    OptionalPath,
    OptionalStr,
    PresetName,
    Quiet,
    Replicates,
    Root,
    Seed,
)

if TYPE_CHECKING:
    from rich.table import Table

    from diarize.scoring.identification import ListScore
    from diarize.scoring.verification import VerificationScore
    from encoder.evaluation.bootstrap import Interval
    from encoder.evaluation.protocol import Measures

__all__ = ["identification", "verification"]


def verification(
    trials: Annotated[
        Path,
        typer.Argument(
            help="`1 path path` or `0 path path` a line, perhaps with a score; or tab-separated "
            "columns target, enrollment, test[, score, enrollment_speaker, test_speaker]."
        ),
    ],
    root: Root = None,
    preset: PresetName = None,
    embedder: EmbedderName = None,
    device: DeviceName = None,
    output: JsonOutput = None,
    det: Annotated[
        OptionalPath,
        typer.Option(help="Draw the error trade-off here: .png, .svg or .pdf."),
    ] = None,
    scores: Annotated[
        OptionalStr,
        typer.Option(help="Write every trial with its score here; - is stdout."),
    ] = None,
    replicates: Replicates = 500,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Equal error rate and detection costs of an embedder, or of scores that the list brings."""
    from diarize.cli.console import interruptible, progress, tell, wide_console
    from diarize.cli.loading import chosen_embedder
    from diarize.core.output import write_atomic
    from diarize.embedding.embedders import load_embedder
    from diarize.formats.trial_lists import format_trials, read_trials
    from diarize.scoring.verification import TrialScores, embed_trials, score_verification

    _check(trials, output, scores, None if det is None else str(det))
    if det is not None:
        from encoder.evaluation.det_plot import check_picture

        check_picture(det)
    with interruptible("no result was written"):
        listed = read_trials(trials)
        name = str(trials)
        if listed.scores is not None:
            found = TrialScores(listed.scores, None, [])
        else:
            embedder = chosen_embedder(preset, embedder)
            name = f"{embedder} on {trials}"
            with progress(shown=not quiet) as on_stage:
                on_stage("load", 0, None)
                encoder = load_embedder(embedder, device=device or "auto")
                folder = trials.parent if root is None else root
                found = embed_trials(
                    listed, folder, encoder, on_done=lambda *at: on_stage("embed", *at)
                )
        if not quiet:
            for sentence in found.notes:
                tell(sentence)
        score = score_verification(
            listed, found.scores, probabilities=found.probabilities,
            replicates=replicates, seed=seed,
        )  # fmt: skip
        if scores is not None:
            write_atomic(scores, format_trials(listed, found.scores.tolist()))
        if det is not None:
            from encoder.evaluation.det_plot import draw_det

            known = found.scores == found.scores
            draw_det({name: (found.scores[known], listed.is_target[known])}, det)
        if output is not None:
            content = {"trials_file": str(trials), **score.to_json()}
            write_atomic(output, json.dumps(content, indent=2) + "\n")
    if not quiet:
        for note in score.notes:
            tell(note)
        if scores is not None and score.left_out:
            tell(f"{scores!r} has only the {score.trials} trials with a score")
        if "-" not in (output, scores):
            wide_console().print(_verification_table(name, score))


def identification(
    trials: Annotated[
        Path,
        typer.Argument(
            help="A folder of speaker folders or a corpus; or a list: `1 path` enrolls, `3 path` "
            "tests (the first folder is the speaker), or tab-separated columns role (enroll or "
            "test), speaker, path."
        ),
    ],
    root: Root = None,
    preset: PresetName = None,
    embedder: EmbedderName = None,
    device: DeviceName = None,
    split: Annotated[
        OptionalStr,
        typer.Option(help="Only this part of a corpus: train, heldout or eval."),
    ] = None,
    enroll: Annotated[
        int, typer.Option(min=1, help="Utterances that enroll a speaker of a folder.")
    ] = 2,
    output: JsonOutput = None,
    replicates: Replicates = 500,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Which speaker it is: one among 100 candidates, and one among all who are enrolled."""
    from dataclasses import asdict

    from diarize.cli.console import interruptible, progress, tell, wide_console
    from diarize.cli.loading import chosen_embedder
    from diarize.core.output import write_atomic
    from diarize.embedding.embedders import load_embedder
    from diarize.formats.trial_lists import read_identification
    from diarize.scoring.identification import identify_corpus, identify_list
    from encoder.evaluation.protocol import ProtocolConfig

    _check(trials, output)
    embedder = chosen_embedder(preset, embedder)
    with interruptible("no result was written"), progress(shown=not quiet) as on_stage:
        table: Table
        content: dict[str, Any]
        if trials.is_dir():
            utterances = _utterances(trials, split, quiet=quiet)
            on_stage("load", 0, None)
            config = ProtocolConfig(closed_enrollment=enroll, replicates=replicates, seed=seed)
            measures, notes = identify_corpus(
                utterances,
                load_embedder(embedder, device=device or "auto"),
                config=config,
                on_done=lambda *at: on_stage("embed", *at),
            )
            content = {dataset: asdict(part) for dataset, part in measures.items()}
            table = _corpus_table(f"{embedder} on {trials}", measures, config)
        else:
            listed = read_identification(trials)
            on_stage("load", 0, None)
            score, notes = identify_list(
                listed,
                trials.parent if root is None else root,
                load_embedder(embedder, device=device or "auto"),
                replicates=replicates,
                seed=seed,
                on_done=lambda *at: on_stage("embed", *at),
            )
            content = score.to_json()
            table = _list_table(f"{embedder} on {trials}", score)
        if output is not None:
            write_atomic(output, json.dumps(content, indent=2) + "\n")
    if not quiet:
        for sentence in notes:
            tell(sentence)
        if output != "-":
            wide_console().print(table)


def _check(trials: Path, output: str | None, *targets: str | None) -> None:
    from diarize.core.output import check_target, output_format

    for target in (output, *targets):
        if target is not None:
            check_target(target, inputs=[trials])
    if output is not None:
        output_format(output, "json")


def _utterances(folder: Path, split: str | None, *, quiet: bool) -> list[Any]:
    from diarize.cli.console import tell
    from encoder.data.corpora import read_corpus
    from encoder.errors import ConfigError

    utterances = read_corpus(folder, on_warning=lambda said: None if quiet else tell(said))
    chosen = [u for u in utterances if split is None or u.split == split]
    if not chosen:
        known = ", ".join(sorted({u.split for u in utterances}))
        raise ConfigError(f"{str(folder)!r} has no split {split!r}: choose from {known}")
    return chosen


def _verification_table(name: str, score: VerificationScore) -> Table:
    table = _two_columns(name)
    table.add_row("equal error rate", _percent(score.eer, score.intervals.get("eer")))
    table.add_row("  at the score", f"{score.threshold:.4f}")
    for prior, cost in score.min_dcf.items():
        between = _between(score.intervals.get(f"min_dcf {prior}"), 1)
        table.add_row(f"minDCF, target prior {prior:g}", f"{cost:.3f}{between}")
    if score.cllr is not None:
        table.add_row("Cllr, bits", f"{score.cllr:.3f}")
    table.add_row("least Cllr, bits", f"{score.min_cllr:.3f}")
    table.add_row("trials, of one speaker", f"{score.trials}, {score.of_one_speaker}")
    if score.speakers is not None:
        table.add_row("speakers", str(score.speakers))
    table.caption = f"95 % intervals over drawn {score.drawn}"
    return table


def _corpus_table(name: str, measures: dict[str, Measures], config: Any) -> Table:
    from rich.table import Table

    from diarize.cli.console import cell

    table = Table(title=f"{cell(name)}, top-1 and equal error rate in %")
    table.add_column("data set")
    candidates = 1 + config.negatives
    titles = [f"1 of {candidates}, K={k}" for k in config.enrollments]
    for title in (
        *titles,
        f"all, K={config.closed_enrollment}",
        "top-5",
        "speakers",
        "tests",
        "EER",
    ):
        table.add_column(title, justify="right")
    for dataset, part in measures.items():
        cells = [
            _percent(part.accuracy[k], part.intervals.get(f"accuracy {k}"), "")
            if k in part.accuracy
            else "-"
            for k in config.enrollments
        ]
        ranks = part.closed_set
        if ranks is None:
            cells += ["-"] * 4
        else:
            cells.append(_percent(ranks.top1, part.intervals.get("top1"), ""))
            cells.append("-" if ranks.top5 is None else f"{100 * ranks.top5:.1f}")
            cells += [str(ranks.speakers), str(ranks.tests)]
        cells.append(f"{100 * part.eer:.1f}")
        if len(measures) > 2 or dataset != "mean":  # of one data set it says the same again
            table.add_row(cell(dataset), *cells)
    table.caption = (
        "K utterances enroll; - where there are too few; 95 % intervals over drawn speakers"
    )
    return table


def _list_table(name: str, score: ListScore) -> Table:
    table = _two_columns(name)
    table.add_row("top-1", _percent(score.top1, score.intervals.get("top1")))
    if score.top5 is not None:
        table.add_row("top-5", _percent(score.top5, score.intervals.get("top5")))
    table.add_row("enrolled speakers", str(score.speakers))
    table.add_row("tests", str(score.tests))
    if score.left_out:
        table.add_row("files left out", str(score.left_out))
    if score.tests_left_out:
        table.add_row("tests of speakers not enrolled", str(score.tests_left_out))
    table.caption = "95 % intervals over drawn speakers"
    return table


def _two_columns(name: str) -> Table:
    from rich.table import Table

    from diarize.cli.console import cell

    table = Table(title=cell(name), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    return table


def _percent(share: float, interval: Interval | None, unit: str = " %") -> str:
    return f"{100 * share:.1f}{unit}{_between(interval, 100)}"


def _between(interval: Interval | None, scale: float) -> str:
    if interval is None:
        return ""
    digits = 1 if scale == 100 else 3
    return f" ({scale * interval.low:.{digits}f}-{scale * interval.high:.{digits}f})"
