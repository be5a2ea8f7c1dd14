"""A version says exactly what it learned, and is the same version when it is published again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch
from prometheus_client import CollectorRegistry
from safetensors.torch import load_file

from learner.blend import Blend
from learner.journal import Journal, Published
from learner.publish import Publisher, deferral_of, hash_of_published
from learner.recipe import Recipe
from learner.state import State
from riverrun.errors import StoreError
from riverrun.metrics import LearnerMetrics
from riverrun.store import Manifest, VersionStore
from riverrun.tokenizer import Tokenizer
from tests.learner import fakes
from tests.learner.fakes import RECIPE


class Told(list[Manifest]):
    """Announcements that go nowhere."""

    def tell(self, manifest: Manifest) -> None:
        self.append(manifest)


class System:
    def __init__(self, directory: Path, recipe: Recipe = RECIPE) -> None:
        self.store = VersionStore(str(directory / "store"))
        self.journal = Journal(directory / "journal")
        self.told = Told()
        self.state = fakes.state(recipe)
        self.publisher = Publisher(
            self.store,
            fakes.identity(recipe),
            self.journal,
            self.told,
            LearnerMetrics(CollectorRegistry()),
            keep_versions=3,
            deferral=deferral_of(self.state, recipe, self.store),
        )

    def publish(self) -> Manifest:
        return self.publisher.publish(self.state, {"loss": 1.5}, "test")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path)
    yield made
    made.journal.close()


def learn(tokenizer: Tokenizer, state: State, first: int, last: int) -> None:
    stepper = fakes.stepper(tokenizer)
    for i in range(first, last + 1):
        assert stepper.step(state, [fakes.arrival(i, partition=i % 3)]) is not None


def test_a_line_of_versions_covers_each_document_once(system: System, tokenizer: Tokenizer) -> None:
    manifests = [system.publish()]
    for first, last in ((0, 0), (1, 4), (5, 9)):
        learn(tokenizer, system.state, first, last)
        manifests.append(system.publish())
    covered = [
        (span.partition, span.clean_first, span.raw_first, span.num_documents)
        for manifest in manifests
        for span in manifest.learned
    ]
    assert sorted(covered) == sorted((i % 3, i, 2 * i, 1) for i in range(10))
    assert [m.parent for m in manifests] == [None, *[m.version for m in manifests[:-1]]]
    assert [m.num_documents for m in manifests] == [0, 1, 5, 10]
    assert manifests[-1].offsets == {0: 19, 1: 15, 2: 17}
    assert manifests[-1].newest_ms == 1009
    assert system.store.promoted() == manifests[-1].version
    assert system.told == manifests


def test_publishing_the_same_weights_again_is_the_same_version(
    system: System, tokenizer: Tokenizer
) -> None:
    learn(tokenizer, system.state, 0, 2)
    first = system.publish()
    again = system.publish()
    assert again.version == first.version
    assert system.store.versions() == [first.version]
    assert system.store.manifest(first.version) == first
    assert list(system.journal.entries_from(3)) == []
    lines = [Published(3, first.version, first.sha256)]
    assert [msgspec.json.decode(line, type=Published) for line in journal_lines(system)] == lines


def journal_lines(system: System) -> list[bytes]:
    [path] = (Path(system.store.files.root).parent / "journal").iterdir()
    return path.read_bytes().splitlines()


def test_a_blend_is_the_origin_before_the_first_step_and_lies_between_afterwards() -> None:
    parameter = torch.nn.Parameter(torch.tensor([0.1, -3.0, 7.0]))
    origin = parameter.detach().clone()
    blend = Blend({"w": parameter}, 0.25)
    assert torch.equal(blend.of({"w": parameter})["w"], origin)
    with torch.no_grad():
        parameter += 4
    assert torch.allclose(blend.of({"w": parameter})["w"], origin + 3)
    assert torch.equal(parameter.detach(), origin + 4), "learning goes on from its own weights"
    assert Blend({"w": parameter}, 0.0).of({"w": parameter})["w"] is parameter


def test_averaged_weights_are_published_and_nothing_but_weights(
    system: System, tokenizer: Tokenizer
) -> None:
    learn(tokenizer, system.state, 0, 4)
    version = system.publish().version
    with system.store.weights(version) as path:
        found = load_file(path)
    assert found.keys() == system.state.model.state_dict().keys()
    average = system.state.average.weights()
    assert all(torch.equal(found[name], average[name]) for name in average)
    live = dict(system.state.model.named_parameters())
    assert any(not torch.equal(found[name], live[name]) for name in live)


def test_a_pretrained_model_is_published_as_bfloat16(tmp_path: Path, tokenizer: Tokenizer) -> None:
    recipe = msgspec.structs.replace(
        RECIPE, publish_dtype="bfloat16", trains_embeddings=False, ema_decay=0.0
    )
    system = System(tmp_path, recipe)
    learn(tokenizer, system.state, 0, 1)
    version = system.publish().version
    with system.store.weights(version) as path:
        found = load_file(path)
    expected = {n: t.to(torch.bfloat16) for n, t in system.state.model.state_dict().items()}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert system.store.manifest(version).sha256 == hash_of_published(system.state, recipe)
    system.journal.close()


def test_a_full_disk_loses_nothing(
    system: System, tokenizer: Tokenizer, full_disk: Callable[[int], None]
) -> None:
    version = system.publish().version
    learn(tokenizer, system.state, 0, 2)
    full_disk(10_000)
    with pytest.raises(StoreError, match="could not be written"):
        system.publish()
    assert system.store.versions() == [version]
    assert system.store.promoted() == version
    full_disk(1 << 30)
    learn(tokenizer, system.state, 3, 3)
    manifest = system.publish()
    assert manifest.parent == version
    assert sum(span.num_documents for span in manifest.learned) == 4


def test_weights_of_old_versions_go_and_their_manifests_stay(
    system: System, tokenizer: Tokenizer
) -> None:
    versions = []
    for i in range(6):
        learn(tokenizer, system.state, i, i)
        versions.append(system.publish().version)
    assert system.store.versions() == versions
    kept = [
        p.parent.name for p in Path(system.store.files.root).glob("versions/*/weights.safetensors")
    ]
    best = system.state.gate.facts.best
    assert best == versions[0], "nothing was judged since, and a roll back goes there"
    assert sorted(kept) == sorted([best, *versions[-3:]])


def test_a_version_that_learned_defers_to_what_the_run_began_with(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    system = System(tmp_path, msgspec.structs.replace(RECIPE, deferral_margin=7.0))
    untouched = {n: t.clone() for n, t in system.state.model.state_dict().items()}
    first = system.publish()
    learn(tokenizer, system.state, 0, 2)
    second = system.publish()
    system.journal.close()
    assert first.deferral is None, "the origin itself"
    assert second.deferral is not None
    assert second.deferral.margin == 7.0
    with system.store.origin(second.deferral.origin) as path:
        origin = load_file(path)
    assert origin.keys() == untouched.keys()
    assert all(torch.equal(origin[name], untouched[name]) for name in origin)
    again = deferral_of(fakes.state(RECIPE), RECIPE, system.store)
    assert again is None, "a margin of 0"
