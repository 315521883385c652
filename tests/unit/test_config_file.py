"""YAML with positions: what it takes, what it refuses, and that nothing else can come out of it."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config import file as config_file
from daemon.config.errors import ConfigError


def refused(text, name="c.yaml"):
    with pytest.raises(ConfigError) as caught:
        config_file.parse(text, name)
    return caught.value.problems[0]


def test_values_and_positions():
    document = config_file.parse('a: {b: 1.5e-3}\nc:\n  - "x: y"\n  - on\n', "c.yaml")
    assert document.data == {"a": {"b": 0.0015}, "c": ["x: y", "on"]}
    assert str(document.origins[("a", "b")]) == "c.yaml:1:5"
    assert str(document.origins[("c", 1)]) == "c.yaml:4:5"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1:30", "1:30"),
        ("no", "no"),
        ("true", True),
        ("~", None),
        ("-7", -7),
        ("0x1f", 31),
        (".5", 0.5),
        ("1e3", 1000.0),
    ],
)
def test_scalars_of_yaml_1_2(text, value):
    made = config_file.parse(f"v: {text}", "c").data["v"]
    assert made == value
    assert type(made) is type(value)


def test_keys_are_always_text():
    assert config_file.parse("no: 1\n1984: 2\n", "c").data == {"no": 1, "1984": 2}


def test_empty_file_is_an_empty_mapping():
    assert config_file.parse("# nothing\n", "c").data == {}


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: b: c\n", 1, "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "given twice"),
        ("a: !!python/object/apply:os.system [x]\n", 1, "tag"),
        ("a: *nowhere\n", 1, ""),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("- 1\n- 2\n", 1, "not a mapping"),
        ("a:\n  ? [x]\n  : 1\n", 2, "key must be a plain word"),
        ("a: \x01\n", 1, ""),
    ],
)
def test_what_is_refused_says_where(text, line, word):
    problem = refused(text)
    assert problem.origin.line == line
    assert word in problem.message
    assert problem.mend


def test_duplicate_key_names_the_first_line():
    problem = refused("output:\n  fps: 1\n  size: 2x2\n  fps: 3\n")
    assert problem.path == ("output", "fps")
    assert "line 2" in problem.mend
    assert problem.origin.line == 4


def test_alias_bomb_is_refused_quickly():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    start = time.process_time()
    assert "aliases expand" in refused("\n".join(lines)).message
    assert time.process_time() - start < 5


def test_self_reference_and_depth_are_refused():
    assert "aliases expand" in refused("a: &a [*a]\n").message
    assert "nested deeper" in refused("a: " + "[" * 5000 + "]" * 5000).message


def test_merge_keys():
    data = config_file.parse("base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  y: 3\n", "c").data
    assert data["mine"] == {"x": 1, "y": 3}


class TestFiles:
    def fault(self, path):
        with pytest.raises(ConfigError) as caught:
            config_file.read(path)
        return caught.value.problems[0]

    def test_missing(self, tmp_path):
        problem = self.fault(tmp_path / "none.yaml")
        assert "no such file" in problem.message
        assert "none.yaml" in str(problem)

    def test_folder(self, tmp_path):
        assert "a folder" in self.fault(tmp_path).message

    def test_not_utf8(self, tmp_path):
        (path := tmp_path / "c.yaml").write_bytes(b"a: 1\nb: caf\xe9\n")
        problem = self.fault(path)
        assert "not UTF-8" in problem.message
        assert (problem.origin.line, problem.origin.column) == (2, 7)

    def test_utf16_and_byte_order_mark(self, tmp_path):
        (path := tmp_path / "c.yaml").write_bytes("a: 1\n".encode("utf-16"))
        assert "UTF-16" in self.fault(path).message
        path.write_bytes(b"\xef\xbb\xbfa: 1\n")
        assert config_file.read(path).data == {"a": 1}

    def test_too_large(self, tmp_path):
        (path := tmp_path / "c.yaml").write_bytes(b"#" * (config_file.MAX_BYTES + 1))
        assert "larger than" in self.fault(path).message

    def test_unreadable(self, tmp_path, monkeypatch):
        (path := tmp_path / "c.yaml").write_text("a: 1")

        def denied(self):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(path), "read_bytes", denied)  # root may read everything
        assert "may not be read" in self.fault(path).message


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!#|>'\"%@` \n\t,.0~?<\x00\x85é"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_parses_or_is_refused(text):
    try:
        made = config_file.parse(text, "fuzz").data
    except ConfigError as error:
        made = str(error)
    assert isinstance(made, dict) or made.startswith("fuzz")


# 0E0 is text to the YAML 1.1 that PyYAML writes, and a number to 1.2 and to us.
TEXT = st.text(max_size=12).filter(lambda text: not isinstance(config_file.scalar(text), float))


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii", categories=("L",)), min_size=1, max_size=8),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXT,
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
@settings(max_examples=80, deadline=None)
def test_what_pyyaml_writes_comes_back(data):
    assert config_file.parse(yaml.safe_dump(data, allow_unicode=False), "c").data == data
