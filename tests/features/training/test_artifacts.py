import pytest

from ephemeral_endpoints.features.training.artifacts import files_below, is_named

FOLDER = "s3://acme/artifacts"
MODEL = f"{FOLDER}/eep-c1-wine/1/model.tar.gz"


@pytest.mark.parametrize("folder", [FOLDER, f"{FOLDER}/"])
def test_the_model_and_its_figures_go(folder: str) -> None:
    figures = f"{FOLDER}/eep-c1-wine/1/evaluation.json"
    assert files_below(folder, {MODEL, figures}) == (figures, MODEL)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://acme/artifacts-of-others/1/model.tar.gz", "it is beside the folder"),
        ("s3://other/artifacts/1/model.tar.gz", "it is in another bucket"),
        (f"{FOLDER}/../data/model.tar.gz", "a client may leave the folder"),
        (f"{FOLDER}/./1/model.tar.gz", "a client may shorten it to another file"),
        (f"{FOLDER}//model.tar.gz", "a client may shorten it to another file"),
        (f"{FOLDER}/model.tar.gz", "no training writes there"),
        (f"{FOLDER}/1/checkpoints/5.pt", "it has another name"),
        (f"{FOLDER}/1/not-model.tar.gz", "it has another name"),
        (f"{FOLDER}/1/model.tar.gz/", "it is a folder"),
        ("https://acme.s3.amazonaws.com/artifacts/1/model.tar.gz", "only S3 URLs say for sure which bucket it is in"),
    ],
)
def test_nothing_else_goes(url: str, why: str) -> None:
    assert files_below(FOLDER, [url]) == (), why


@pytest.mark.parametrize(
    "url",
    [
        MODEL,
        f"{FOLDER}/eep-c1-wine/1/",
        f"{FOLDER}/eep-c1-wine",
        "s3://acme/",
        "s3://acme",
        "https://acme.s3.us-east-1.amazonaws.com/artifacts/eep-c1-wine/1/model.tar.gz",
        "https://s3.us-east-1.amazonaws.com/acme/artifacts/eep-c1-wine/",
    ],
)
def test_a_file_is_named_by_its_url_or_that_of_a_folder(url: str) -> None:
    assert is_named(MODEL, [url])


@pytest.mark.parametrize(
    "url",
    [
        "s3://other/artifacts/eep-c1-wine/1/model.tar.gz",
        f"{FOLDER}/eep-c1-wine/1/model.tar.gz.old",
        f"{FOLDER}/eep-c1-wine/10",
        f"{FOLDER}/eep",
        "https://acme.example.com",
        "https://acme.example.com/",
        "https://github.com/acme/wine",
    ],
)
def test_other_urls_name_other_files(url: str) -> None:
    assert not is_named(MODEL, [url])
