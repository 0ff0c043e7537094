"""Makes the sections of the page of one run."""

from ..metrics.evaluation import (
    FEW_SAMPLES,
    FEW_SAMPLES_NOTE,
    OF_A_CLASS,
    SIDES,
    list_alone,
    list_classes,
    list_compared,
)
from ..runs import describe_machine, read_machine
from ..runs.failures import FAILURES
from ..runs.settings import FIELDS
from .curves import draw_chart, read_line
from .epochs import draw_stills, encode_small_film, read_small
from .facts import Facts
from .markup import Markup, element, make_image, make_sample, make_table, to_url
from .measures import DRAWN, Measures, rank
from .soundness import QUESTIONS, Check, summarize

MARKS = {True: "✓ passed", False: "✗ failed", None: "? not known"}
QUESTION_TEXTS = {
    "finite": "Finite: the training did not break down",
    "whole": "Whole: nothing is missing, and the files belong together",
    "reproducible": "Reproducible: somebody else can repeat the run",
}
# Each chart: its title, whether its axis may be logarithmic, and the names of its columns.
CHARTS = [
    ("Losses", False, {"d_loss": "discriminator", "g_loss": "generator", "penalty": "gradient penalty"}),
    (
        "Mean logits of the discriminator",
        False,
        {
            "real_logits": "training images",
            "val_real_logits": "validation images",
            "fake_logits": "generated images",
        },
    ),
    ("Fréchet distance", True, {"val_frechet_distance": "samples"}),
    ("Classifier score", False, {"val_classifier_score": "samples"}),
    ("Share of the smallest class", False, {"val_smallest_class_share": "samples"}),
]
MEANINGS = {
    "Fréchet distance": "How far the samples are from real images. Smaller is better.",
    "Kernel distance": "Another distance, which does not depend on the number of images. Smaller is better.",
    "Precision": "Fraction of the samples that look like some real image. Density is a variant.",
    "Recall": "Fraction of the real images that look like some sample. Coverage is a variant.",
    "Classifier score": "How clear and how varied the classes are. At most the number of classes.",
    "Label accuracy": "Fraction of the samples that show the class that was requested.",
    "Near-copies": "Fraction of the samples that nearly equal a training image. "
    "Many more than for real images mean that the generator copies.",
}
KEY_FIGURES = ("Fréchet distance", "precision", "recall", "label accuracy", "near-copies of training images")


def make_section(title: str, *children: str) -> Markup:
    """Returns a section of the page with a heading."""
    return element("section", element("h2", title), *children)


def describe_run(facts: Facts) -> str:
    """Returns one or two sentences: the data, and the length of the run."""
    data, settings = facts.config["data"], facts.stored_settings
    height, width, channels = data["image_shape"]
    count = f"{data['images']:,} " if type(data.get("images")) is int else ""
    text = f"{data.get('name', 'Data')}: {count}{'color' if channels == 3 else 'gray'} training images "
    text += f"of {height}x{width} pixels"
    text += f", {data.get('num_classes')} classes" if settings.get("conditional") else ", without labels"
    epochs = f"{facts.epochs_done} epoch{'s'[: facts.epochs_done != 1]}"
    text += f". Recipe {settings.get('recipe')}, {epochs} of {settings.get('steps_per_epoch')} steps, "
    failure = FAILURES.get(settings.get("failure"))
    failing = f" A training that fails on purpose: {failure.reason}." if failure else ""
    return f"{text}seed {settings.get('seed')}.{failing}"


def show_summary(checks: list[Check], facts: Facts) -> Markup:
    """Returns the summary of the checks in a box, with the causes that the doctor named."""
    summary = summarize(checks)
    is_sound = summary.startswith("Sound")
    word, colon, rest = summary.partition(":")
    mark = "✓" if is_sound else "✗"
    text = element("strong", f"{mark} {word}{colon}")
    causes = [] if isinstance(facts.remarks, str) else [remark["cause"] for remark in facts.remarks]
    doctor = f" But the doctor found: {', '.join(causes)}." if causes else ""
    kind = "good" if is_sound and not causes else "bad"
    return element("p", text, f"{rest}{doctor}", class_=f"summary {kind}")


def show_key_figures(report: dict | None) -> Markup:
    """Returns the most important measures as large numbers, or nothing without a report."""
    if report is None:
        return Markup()
    rows = dict(list_compared(report) + list_alone(report))
    cards = []
    for title in KEY_FIGURES:
        samples, real = rows.get(title, ["-", "-"])[:2]
        if samples != "-":
            note = element("small", f"real images: {real}" if real != "-" else "")
            name = element("span", title[:1].upper() + title[1:])
            cards.append(element("div", name, element("strong", samples), note))
    return element("div", *cards, class_="cards")


def show_ends(facts: Facts) -> Markup:
    """Returns the samples of the last epoch beside real images."""
    last = facts.folder.samples / f"epoch_{facts.epochs_done:04d}.png"
    named = {
        f"Samples after epoch {facts.epochs_done}": read_small(last),
        "Real images": read_small(facts.folder.samples / "real.png"),
    }
    figures = [
        element("figure", make_image(picture, title), element("figcaption", title))
        for title, picture in named.items()
        if picture is not None
    ]
    return element("div", *figures, class_="pair")


def list_checks(checks: list[Check]) -> list[Markup]:
    """Returns a table of checks, one part for each question. Without checks: nothing."""
    parts = []
    for question in QUESTIONS:
        head = element("th", QUESTION_TEXTS[question], colspan=3, scope="rowgroup")
        rows = [_list_check(check) for check in checks if check.question == question]
        parts += [element("tbody", element("tr", head), *rows)] if rows else []
    return [element("div", element("table", *parts, class_="checks"), class_="scroll")] if parts else []


def _list_check(check: Check) -> Markup:
    kind = {True: "good", False: "bad", None: "unknown"}[check.passed]
    cells = [element("td", MARKS[check.passed], class_=kind), element("td", check.detail)]
    return element("tr", element("th", check.title, scope="row"), *cells)


def describe_quality(measures: Measures) -> list[Markup]:
    """Returns the tables of all measures, with the values of real images, and the table of the classes."""
    report = measures.report
    if report is None:
        return [element("p", f"The quality was not measured. {measures.origin}", class_="left-out")]
    network, sides = report["network"], [title for side, title in SIDES.items() if side in report]
    accuracy = f" (test accuracy {network['test_accuracy']:.1%})" if "test_accuracy" in network else ""
    text = f"{report['samples']:,} samples, compared with real images by the features of {network['name']}"
    few = f" {FEW_SAMPLES_NOTE}" if report["samples"] < FEW_SAMPLES else ""
    beside = ["samples", "real"]
    parts = [
        element("p", f"{text}{accuracy}. {measures.origin}{few}"),
        element(
            "p",
            "The columns “real” measure real images instead. A perfect generator reaches these values.",
        ),
        make_table(
            [["", *((f"compared with {side}", 2) for side in sides)], ["", *beside * len(sides)]],
            list_compared(report),
            class_="numbers",
        ),
        make_table([["", *beside]], list_alone(report), class_="numbers narrow"),
        _explain_measures(),
    ]
    if "classes" in report:
        titles = [(title, 2) for title, _ in OF_A_CLASS.values()]
        heads = [["class", *titles], ["", *beside * len(titles)]]
        parts += [element("h3", "Each class"), make_table(heads, list_classes(report), class_="numbers")]
    return parts


def _explain_measures() -> Markup:
    pairs = (element("div", element("dt", name), element("dd", text)) for name, text in MEANINGS.items())
    return element("dl", *pairs)


def describe_samples(facts: Facts, measures: Measures) -> list[Markup]:
    """Returns the most and the least realistic of many samples."""
    if measures.scores is None:
        return [_leave_out(measures.problem)]
    best, worst = rank(measures.scores)
    text = (
        f"{DRAWN:,} samples were drawn with one seed and ranked by their realism score (Kynkäänniemi et al. "
    )
    text += "2019): how near a sample is to real images, compared with the distances between real images. A "
    text += "score above 1 means that the sample lies among typical real images."
    return [
        element("p", text),
        element("h3", f"The {len(best)} best samples"),
        _show_samples(best, facts, measures),
        element("h3", f"The {len(worst)} worst samples"),
        _show_samples(worst, facts, measures),
    ]


def _show_samples(chosen, facts: Facts, measures: Measures) -> Markup:
    figures = []
    for number in chosen:
        label = "" if measures.labels is None else facts.class_names[measures.labels[number]]
        score = f"{measures.scores[number]:.2f}"
        image = make_sample(measures.samples[number], f"Sample {label}")
        names = [element("span", label)] if label else []
        figures.append(element("figure", image, element("figcaption", *names, element("small", score))))
    return element("div", *figures, class_="samples")


def describe_nearest(measures: Measures) -> list[Markup]:
    """Returns the picture of samples and their nearest training images, and the rate of near-copies."""
    if measures.nearest is None:
        return [_leave_out(measures.problem)]
    text = (
        "Each row starts with a sample. The other images of the row are the nine training images nearest to "
    )
    text += "the sample, pixel by pixel. A generator that copies shows the same image twice."
    rates = (measures.report or {}).get("samples_alone", {}).get("near_copies", {})
    if rates.get("samples") is not None:
        text += f" {rates['samples']:.2%} of all samples are near-copies of a training image"
        text += "." if rates.get("real") is None else f" (test images: {rates['real']:.2%})."
    picture = make_image(measures.nearest, "Samples and their nearest training images", class_="picture")
    return [element("p", text), element("figure", picture)]


def draw_curves(facts: Facts, floors: dict[str, float]) -> list[Markup]:
    """Returns one chart for each kind of values in history.csv."""
    if facts.history_problem:
        return [_leave_out(facts.history_problem)]
    charts = []
    for title, may_be_logarithmic, columns in CHARTS:
        lines = [read_line(name, facts.rows, column) for column, name in columns.items()]
        floor = floors.get(next(iter(columns)))
        if any(line.points for line in lines):
            charts.append(draw_chart(title, lines, floor, may_be_logarithmic))
    return [element("div", *charts, class_="charts")]


def describe_doctor(facts: Facts) -> list[Markup]:
    """Returns the remarks of the doctor: the cause, the evidence, and a change that may help."""
    if isinstance(facts.remarks, str):
        return [element("p", facts.remarks, class_="left-out")]
    if not facts.remarks:
        return [element("p", "The doctor found no problem.")]
    return [element("ul", *map(_show_remark, facts.remarks), class_="remarks")]


def _show_remark(remark: dict) -> Markup:
    since = f" (since epoch {remark['since_epoch']})" if "since_epoch" in remark else ""
    title = element("strong", f"After epoch {remark['epoch']}: {remark['cause']}{since}")
    parts = (
        element("div", element("dt", name.capitalize()), element("dd", remark[name]))
        for name in ("evidence", "change", "expect")
    )
    return element("li", title, element("dl", *parts))


def show_film(facts: Facts) -> list[Markup]:
    """Returns the film of the epochs for the screen, and a row of stills for print."""
    film = encode_small_film(facts.folder)
    if film is None:
        return [_leave_out("The run has no pictures of epochs.")]
    text = "Samples of the same latents, from before the training (epoch 0) to the last epoch."
    image = element("img", src=to_url(film, "webp"), alt="Samples, epoch after epoch", class_="picture")
    return [element("p", text), element("figure", image, class_="film"), show_stills(facts)]


def show_stills(facts: Facts) -> Markup:
    """Returns the first samples of about six epochs, side by side."""
    try:
        stills = draw_stills(facts.folder)
    except ValueError as error:
        return _leave_out(f"{facts.hide_path(error)}.")
    figures = [
        element("figure", make_sample(still, f"Epoch {epoch}"), element("figcaption", f"Epoch {epoch}"))
        for epoch, still in stills.items()
    ]
    return element("div", *figures, class_="stills")


def describe_settings(facts: Facts) -> list[Markup]:
    """Returns the table of the settings. Marks the settings that differ from the recipe."""
    given = (facts.given_settings or {}).keys() - {"dataset", "recipe"}
    recipe = facts.stored_settings.get("recipe")
    if facts.given_settings is None:
        text = "It is not known which settings differ from the recipe."
    elif given:
        text = (
            f"The marked settings (•) differ from the recipe {recipe} and from the defaults for these data."
        )
    else:
        text = f"All settings have the values of the recipe {recipe} and the defaults for these data."
    rows = []
    for name in [*FIELDS, *(facts.stored_settings.keys() - FIELDS.keys())]:
        if name in facts.stored_settings:
            value, mark = _format_setting(facts.stored_settings[name]), "• " if name in given else ""
            cells = element("th", f"{mark}{name.replace('_', ' ')}", scope="row"), element("td", value)
            rows.append(element("tr", *cells, class_="changed" if mark else None))
    table = element("table", element("tbody", *rows))
    return [element("p", text), element("div", table, class_="settings")]


def _format_setting(value) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def describe_repetition(facts: Facts) -> list[Markup]:
    """Returns the command that repeats the run, and the versions that the run used."""
    then, now = read_machine(facts.config), describe_machine()
    rows = [(name, [str(then.get(name, "not recorded")), now[name]]) for name in now]
    data = facts.config["data"]
    return [
        *show_command(facts),
        make_table([["", "the run", "this report"]], rows, class_="narrow"),
        element("p", "SHA-256 of the training data: ", element("code", data["checksum"]), class_="checksum"),
    ]


def show_command(facts: Facts) -> list[Markup]:
    """Returns the command that repeats the run, or why it is not known."""
    if facts.repeating_command is None:
        reason = facts.settings_problem or "config.json does not describe the data"
        return [_leave_out(f"The command is not known: {reason}.")]
    return [
        element("p", "This command repeats the run:"),
        element("pre", element("code", facts.repeating_command)),
    ]


def _leave_out(reason: str) -> Markup:
    return element("p", f"Left out. {reason}", class_="left-out")
