"""The gallery: enrolled speakers in one SQLite file.

A speaker has up to 20 exemplars, unit vectors of different stretches of speech. They came from
enrollments, one for each file; the speech itself is kept only where the user said so. Vectors
of two embedders are never compared: every exemplar carries the fingerprint of its own.

    with Gallery.open(default_gallery(), create=True) as gallery:
        gallery.enroll("Anna", [enrollment], fingerprint=..., embedder="deepspeaker-small")
        gallery.speakers(fingerprint, embedder="deepspeaker-small")
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from diarize.core.sqlite_file import TIMEOUT_S, Database, damaged, open_database
from diarize.gallery import schema as rows
from diarize.gallery.fingerprints import check_fingerprint, check_same, exchange, kept_of_another
from diarize.gallery.integrity import UPGRADES, check_sizes, checked, prepare, seal_changes
from diarize.gallery.names import clean_name, shown, unknown_name
from diarize.gallery.schema import SCHEMA, EnrolledSpeaker, Enrollment, Exchanged, KeptSound
from encoder.errors import ConfigError, StoreError
from encoder.hub.paths import user_data

__all__ = ["MISSING", "Gallery", "default_gallery"]

MISSING = "enroll a speaker first with `diarize enroll NAME FILE`, or check the path"
APPLICATION_ID = 0x44474C59  # "DGLY"
VERSION = 2


def default_gallery() -> Path:
    """The user's own gallery. ConfigError for a user without a home."""
    try:
        return user_data() / "gallery.sqlite"
    except RuntimeError:
        raise ConfigError(
            "there is no home folder for a gallery: name a file for it", setting="gallery"
        ) from None


class Gallery:
    """An open gallery; see `Gallery.open`.

    Every method does all or nothing, and several do when they are called within
    `with gallery.changing():`. Each raises StoreError where the file cannot be used.

    Args:
        database: the open file.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inside: sqlite3.Connection | None = None

    @classmethod
    @contextmanager
    def open(
        cls,
        path: str | Path,
        *,
        create: bool,
        timeout_s: float = TIMEOUT_S,
        missing: str = MISSING,
        on_warning: Callable[[str], None] | None = None,
    ) -> Iterator[Gallery]:
        """Open the gallery in a file, which may be read-only for a reader.

        Only its owner can read the file. If the block fails, a gallery that was made for it and
        holds no speaker is removed again.

        Args:
            path: an SQLite file.
            create: whether it is made, and its folder, where there is none.
            timeout_s: seconds to wait for another program that writes to it.
            missing: the next step where there is no such file.
            on_warning: is given a sentence where other users could read the file until now.

        Returns:
            A context manager that gives the gallery and closes it.

        Raises:
            StoreError: there is no such file, or it is no gallery, damaged or of another version.
        """
        path = Path(path)
        made = _absent(path) if create else []
        with open_database(
            path,
            application_id=APPLICATION_ID,
            version=VERSION,
            schema=SCHEMA,
            what="gallery",
            create=create,
            missing=missing,
            timeout_s=timeout_s,
            upgrades=UPGRADES,
            prepare=prepare,
            on_warning=on_warning,
        ) as database:
            gallery = cls(database)
            try:
                yield gallery
            except BaseException:
                if made:
                    gallery._remove_if_empty(made)
                raise

    @property
    def path(self) -> Path:
        """Its file."""
        return self._database.path

    @property
    def changed(self) -> bool:
        """Whether a change that was made here is in the file, which outlives an interrupt."""
        return self._database.changed

    @contextmanager
    def changing(self) -> Iterator[None]:
        """What is read and written in the block is one change, with no other process between."""
        with self._writing():
            yield

    def check_writable(self) -> None:
        """The StoreError that a change would meet now. The file stays as it is."""
        self._database.check_writable()

    # Reading.

    def speakers(
        self, fingerprint: str | None = None, *, embedder: str = ""
    ) -> list[EnrolledSpeaker]:
        """Read all speakers, enrolled and unknown, sorted by name.

        Args:
            fingerprint: that of the embedder in use, which all vectors must be of; None is any.
            embedder: its name, for the error.

        Returns:
            The speakers with their exemplars (E, D).

        Raises:
            StoreError: a vector is of another embedder, or what is stored is damaged.
        """
        with self._reading() as sql:
            if fingerprint is not None:
                check_fingerprint(sql, self.path, fingerprint, embedder)
            found = checked(sql.execute("SELECT id FROM person ORDER BY folded"), int)
            speakers = [rows.read_speaker(sql, speaker) for (speaker,) in found]
        for own in {speaker.fingerprint for speaker in speakers}:
            check_sizes({s.name: s.exemplars for s in speakers if s.fingerprint == own})
        return speakers

    def called(self, name: str) -> str:
        """Find how the name of a speaker is written.

        Args:
            name: in any case.

        Returns:
            The name as stored.

        Raises:
            ConfigError: no speaker is called so; the nearest names are given.
        """
        with self._reading() as sql:
            return rows.known_speaker(sql, name)[1]

    def fingerprints(self) -> dict[str, str]:
        """Fingerprint -> name of the embedders whose vectors are held."""
        with self._reading() as sql:
            found = sql.execute("SELECT DISTINCT fingerprint, embedder FROM exemplar")
            return dict(checked(found, str, str))

    def kept_sounds(self) -> list[int]:
        """The numbers of the sounds that `kept_sound` gives."""
        with self._reading() as sql:
            found = sql.execute("SELECT id FROM sound WHERE kept IS NOT NULL ORDER BY person, id")
            return [number for (number,) in checked(found, int)]

    def sounds_of_another(self, fingerprint: str) -> list[int]:
        """Find the kept sounds to embed again, see `replace_exemplars`.

        Args:
            fingerprint: that of the embedder in use.

        Returns:
            Those `kept_sounds` whose speakers have vectors of another embedder.
        """
        with self._reading() as sql:
            return [number for number, _ in kept_of_another(sql, fingerprint)]

    def kept_sound(self, number: int) -> KeptSound:
        """Read the speech that was kept of an enrollment.

        Args:
            number: one of `kept_sounds`.

        Returns:
            The sound as FLAC, and whose it is.

        Raises:
            StoreError: it was forgotten meanwhile.
        """
        with self._reading() as sql:
            kept = rows.read_kept(sql, number)
        if kept is None:
            raise self._changed()
        return kept

    # Writing.

    def enroll(
        self, name: str, enrollments: Iterable[Enrollment], *, fingerprint: str, embedder: str
    ) -> int:
        """Add enrollments to a speaker, who may be new.

        One that the speaker has already is not added again. Beyond 20 exemplars those that are
        nearest to another go.

        Args:
            name: the speaker's.
            enrollments: one for each file or recording.
            fingerprint: that of the embedder of their vectors.
            embedder: its name.

        Returns:
            The number of enrollments that were new.

        Raises:
            ConfigError: a name that cannot be one.
            StoreError: the gallery holds vectors of another embedder.
        """
        with self._writing() as sql:
            check_fingerprint(sql, self.path, fingerprint, embedder)
            found = rows.find_speaker(sql, name)
            speaker = found[0] if found else rows.make_speaker(sql, clean_name(name), "named")
            return rows.add_enrollments(sql, speaker, enrollments, fingerprint, embedder)

    def remember_unknown(
        self, enrollments: Iterable[Enrollment], *, fingerprint: str, embedder: str
    ) -> str:
        """Add an unknown speaker.

        Args:
            enrollments: as for `enroll`.
            fingerprint: that of the embedder of their vectors.
            embedder: its name.

        Returns:
            The name that the speaker gets: VOICE_0001 and on, none of them twice.

        Raises:
            StoreError: the gallery holds vectors of another embedder.
        """
        with self._writing() as sql:
            check_fingerprint(sql, self.path, fingerprint, embedder)
            name = unknown_name(rows.next_unknown(sql))
            speaker = rows.make_speaker(sql, name, "unknown")
            rows.add_enrollments(sql, speaker, enrollments, fingerprint, embedder)
        return name

    def forget(self, name: str) -> None:
        """Erase a speaker with all vectors and sounds.

        Args:
            name: the speaker's.

        Raises:
            ConfigError: no speaker is called so.
        """
        with self._writing() as sql:
            sql.execute("DELETE FROM person WHERE id = ?", (rows.known_speaker(sql, name)[0],))

    def rename(self, old: str, new: str, *, merge: bool = False) -> str:
        """Give a speaker another name; an unknown speaker becomes named.

        Args:
            old: the speaker's name.
            new: the name to give.
            merge: whether both become one if `new` is another speaker's.

        Returns:
            The new name as stored.

        Raises:
            ConfigError: no speaker is `old`, `new` cannot be a name, or is taken without `merge`.
            StoreError: the vectors of the two are of two embedders.
        """
        with self._writing() as sql:
            speaker, old_name, _ = rows.known_speaker(sql, old)
            found = rows.find_speaker(sql, new)
            if found is None or found[0] == speaker:
                return rows.name_speaker(sql, speaker, clean_name(new))
            other, name, _ = found
            if not merge:
                raise ConfigError(
                    f"{shown(name)} is in the gallery already: choose another name, or merge both "
                    f"if {shown(old_name)} is the same speaker",
                    setting="merge",
                )
            check_same(sql, self.path, speaker, other)
            rows.merge_speakers(sql, speaker, other)
            return name

    def replace_exemplars(
        self, made: dict[int, Enrollment], *, fingerprint: str, embedder: str
    ) -> Exchanged:
        """Put vectors of this embedder in place of another's.

        Vectors that are of this embedder stay. Of speakers with a kept sound the others go, and so
        do enrollments without a kept sound that have no vectors then.

        Args:
            made: new enrollments by the number of each of `sounds_of_another`.
            fingerprint: that of the embedder of their vectors.
            embedder: its name.

        Returns:
            What became of the speakers, by name.

        Raises:
            StoreError: `made` is not all of `sounds_of_another`, for another program enrolled
                meanwhile.
        """
        with self._writing() as sql:
            if {number for number, _ in kept_of_another(sql, fingerprint)} != set(made):
                raise self._changed()
            return exchange(sql, made, fingerprint, embedder)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._inside is not None:
            yield self._inside
            return
        with self._database.writing() as sql:
            self._inside = sql
            try:
                seal_changes(sql)
                yield sql
            except sqlite3.IntegrityError as error:  # nothing here breaks a rule of a sound file
                raise damaged(self.path, "gallery", error) from error
            finally:
                self._inside = None

    def _remove_if_empty(self, made: list[Path]) -> None:
        with contextlib.suppress(StoreError, OSError, _Unchanged), self._writing() as sql:
            if sql.execute("SELECT count(*) FROM person").fetchone() == (0,):
                self.path.unlink()
                for folder in made[1:]:
                    folder.rmdir()
            raise _Unchanged

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with contextlib.ExitStack() as stack:
            yield self._inside or stack.enter_context(self._database.reading())

    def _changed(self) -> StoreError:
        return StoreError(
            f"the gallery {str(self.path)!r} was changed by another program meanwhile: try again"
        )


class _Unchanged(Exception):  # noqa: N818 - no error
    """Ends a change that was none."""


def _absent(path: Path) -> list[Path]:
    """The file and those folders above it that are not there, the deepest first."""
    try:
        return [place for place in (path, *path.parents) if not place.exists()]
    except (OSError, ValueError):
        return []
