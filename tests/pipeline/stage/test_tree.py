import os

from efsprov.pipeline.stage.tree import fingerprints, list_tree, tidy


def test_a_link_from_elsewhere_is_no_change(tmp_path):
    top = tmp_path / "top"
    top.mkdir()
    (top / "file").write_text("x")
    before = fingerprints(top)
    os.link(top / "file", tmp_path / "another release")
    assert fingerprints(top) == before
    (top / "file").write_text("longer")
    assert fingerprints(top) != before


def test_tidy_leaves_no_empty_folders_and_no_private_modes(tmp_path):
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / "kept/file").chmod(0o600)
    (tmp_path / "kept/tool").write_text("x")
    (tmp_path / "kept/tool").chmod(0o700)
    tidy(tmp_path)
    assert [(e.path, e.mode) for e in list_tree(tmp_path, {})] == [("kept/file", 0o644), ("kept/tool", 0o755)]
    assert not (tmp_path / "a").exists()


def test_what_was_seen_just_before_is_not_looked_at_again(tmp_path):
    for name in ("site/package/a.py", "site/b.py", "lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    whole = list_tree(tmp_path, {})
    seen = fingerprints(tmp_path / "site")
    assert list_tree(tmp_path, {}, seen={"site": seen}) == whole
    (tmp_path / "site" / "later").write_text("")
    assert list_tree(tmp_path, {}, seen={"site": seen}) == whole
