"""The gallery: enrolled speakers in one SQLite file.

A speaker has up to 20 exemplars, unit vectors of different stretches of speech. They came from
enrollments, one for each file; the speech itself is kept only where the user said so. Vectors
of two encoders are never compared: every exemplar carries the fingerprint of its own.

    with Gallery.open(default_gallery(), create=True) as gallery:
        gallery.enroll("Anna", [enrollment], fingerprint=..., embedder="deepspeaker-small")
        gallery.speakers(fingerprint, embedder="deepspeaker-small")
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from diarize.core.sqlite_file import Database, damaged, open_database
from diarize.gallery import schema as rows
from diarize.gallery.names import clean_name, fold_name, nearest_names, shown, unknown_name
from diarize.gallery.schema import (
    MOST_EXEMPLARS,
    SCHEMA,
    EnrolledSpeaker,
    Enrollment,
    Exchanged,
    KeptSound,
)
from encoder.errors import ConfigError, StoreError
from encoder.hub.paths import user_data

__all__ = [
    "MOST_EXEMPLARS",
    "EnrolledSpeaker",
    "Enrollment",
    "Exchanged",
    "Gallery",
    "KeptSound",
    "default_gallery",
]

APPLICATION_ID = 0x44474C59  # "DGLY"
VERSION = 1


def default_gallery() -> Path:
    """The user's own gallery. ConfigError for a user without a home."""
    try:
        return user_data() / "gallery.sqlite"
    except RuntimeError:
        raise ConfigError(
            "there is no home folder for a gallery: name a file for it", setting="gallery"
        ) from None


class Gallery:
    """An open gallery; see `Gallery.open`. Every method does all or nothing, and several do when
    they are called within `with gallery.changing():`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._inside: sqlite3.Connection | None = None

    @classmethod
    @contextmanager
    def open(
        cls, path: str | Path, *, create: bool, timeout_s: float | None = None
    ) -> Iterator[Gallery]:
        """The gallery in a file, which may be read-only for a reader. StoreError says what is
        wrong with it; without `create` it must exist. If the block fails, a gallery that was made
        for it and holds no speaker is removed again."""
        path = Path(path)
        made = _absent(path) if create else []
        extra = {} if timeout_s is None else {"timeout_s": timeout_s}
        with open_database(
            path,
            application_id=APPLICATION_ID,
            version=VERSION,
            schema=SCHEMA,
            what="gallery",
            create=create,
            missing="enroll a speaker first with `diarize enroll NAME FILE`, or check the path",
            **extra,  # type: ignore[arg-type]
        ) as database:
            with database.reading() as sql:  # who is forgotten shall not be found in free pages
                sql.execute("PRAGMA secure_delete = ON")
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
        """All enrolled speakers, by name. With a fingerprint StoreError if any vector is of another
        encoder; `embedder` is what the sentence calls the one in use."""
        with self._reading() as sql:
            if fingerprint is not None:
                self._check_fingerprint(sql, fingerprint, embedder)
            found = sql.execute("SELECT id FROM person ORDER BY folded").fetchall()
            return [rows.read_speaker(sql, speaker) for (speaker,) in found]

    def called(self, name: str) -> str:
        """The stored spelling of a name; ConfigError with the nearest ones if no speaker has it."""
        with self._reading() as sql:
            return self._known(sql, name)[1]

    def fingerprints(self) -> dict[str, str]:
        """Fingerprint -> name of the embedders whose vectors are held."""
        with self._reading() as sql:
            found = sql.execute("SELECT DISTINCT fingerprint, embedder FROM exemplar")
            return dict(rows.checked(found, str, str))

    def kept_sounds(self) -> list[int]:
        """The numbers of the sounds that `kept_sound` gives."""
        with self._reading() as sql:
            found = sql.execute("SELECT id FROM sound WHERE kept IS NOT NULL ORDER BY person, id")
            return [number for (number,) in rows.checked(found, int)]

    def sounds_of_another(self, fingerprint: str) -> list[int]:
        """Those `kept_sounds` whose speakers have vectors of another encoder."""
        with self._reading() as sql:
            return [number for number, _ in rows.kept_of_another(sql, fingerprint)]

    def kept_sound(self, number: int) -> KeptSound:
        """One of `kept_sounds`; StoreError if it was forgotten meanwhile."""
        with self._reading() as sql:
            found = sql.execute(
                "SELECT sound.id, name, source, kept FROM sound JOIN person ON person.id = person"
                " WHERE sound.id = ? AND kept IS NOT NULL",
                (number,),
            )
            kept = [KeptSound(*row) for row in rows.checked(found, int, str, str, bytes)]
        if not kept:
            raise self._changed()
        return kept[0]

    # Writing.

    def enroll(
        self, name: str, enrollments: Iterable[Enrollment], *, fingerprint: str, embedder: str
    ) -> int:
        """Add enrollments to a speaker, who may be new; the number of enrollments that were.

        One that the speaker has already is not added again. Beyond 20 exemplars those that are
        nearest to another go. ConfigError for a name that cannot be one, StoreError for vectors of
        another encoder.
        """
        with self._writing() as sql:
            self._check_fingerprint(sql, fingerprint, embedder)
            found = rows.find_speaker(sql, name)
            speaker = found[0] if found else rows.make_speaker(sql, clean_name(name), "named")
            return rows.add_enrollments(sql, speaker, enrollments, fingerprint, embedder)

    def remember_unknown(
        self, enrollments: Iterable[Enrollment], *, fingerprint: str, embedder: str
    ) -> str:
        """Add an unknown speaker; the name it gets, VOICE_0001 and on, is never given twice."""
        with self._writing() as sql:
            self._check_fingerprint(sql, fingerprint, embedder)
            sql.execute("UPDATE numbering SET strangers = strangers + 1")
            found = sql.execute("SELECT strangers FROM numbering")
            ((number,),) = rows.checked(found, int, count=1)
            speaker = rows.make_speaker(sql, unknown_name(number), "unknown")
            rows.add_enrollments(sql, speaker, enrollments, fingerprint, embedder)
        return unknown_name(number)

    def forget(self, name: str) -> None:
        """Erase a speaker with all vectors and sounds. ConfigError if none is called so."""
        with self._writing() as sql:
            sql.execute("DELETE FROM person WHERE id = ?", (self._known(sql, name)[0],))

    def rename(self, old: str, new: str, *, merge: bool = False) -> str:
        """Give a speaker another name, returned as stored; an unknown speaker becomes named.

        With `merge` both become one if `new` is another speaker's, else ConfigError.
        """
        with self._writing() as sql:
            speaker, old_name, _ = self._known(sql, old)
            found = rows.find_speaker(sql, new)
            if found is None or found[0] == speaker:
                name = clean_name(new)
                sql.execute(
                    "UPDATE person SET name = ?, folded = ?, kind = 'named' WHERE id = ?",
                    (name, fold_name(name), speaker),
                )
                return name
            other, name, _ = found
            if not merge:
                raise ConfigError(
                    f"{shown(name)} is in the gallery already: choose another name, or merge both "
                    f"if {shown(old_name)} is the same speaker",
                    setting="merge",
                )
            self._check_one_space(sql, speaker, other)
            rows.keep_of_both(sql, speaker, other)
            sql.execute("UPDATE OR IGNORE sound SET person = ? WHERE person = ?", (other, speaker))
            sql.execute("DELETE FROM person WHERE id = ?", (speaker,))  # and what both had
            rows.thin_speaker(sql, other)
            return name

    def replace_exemplars(
        self, made: dict[int, Enrollment], *, fingerprint: str, embedder: str
    ) -> Exchanged:
        """Put in vectors of this encoder for those of another: `made`, from `sounds_of_another`
        (their number -> Enrollment).

        Vectors that are of this encoder stay. Of speakers with a kept sound the others go, and
        so do enrollments without a kept sound that have no vectors then. StoreError if `made` is
        not all of `sounds_of_another`, because another program enrolled meanwhile.
        """
        with self._writing() as sql:
            kept = rows.kept_of_another(sql, fingerprint)
            if {number for number, _ in kept} != set(made):
                raise self._changed()
            affected = {speaker for _, speaker in kept}
            gone = {
                speaker: rows.drop_vectors_of_another(sql, speaker, fingerprint)
                for speaker in affected
            }
            for number, speaker in kept:
                rows.insert_exemplars(sql, number, made[number], fingerprint, embedder)
                rows.thin_speaker(sql, speaker)
            found = sql.execute("SELECT id, name FROM person ORDER BY folded")
            named = rows.checked(found, int, str)
            return Exchanged(
                done=[name for speaker, name in named if speaker in affected],
                lost={name: gone[speaker] for speaker, name in named if gone.get(speaker)},
                left=rows.speakers_of_another(sql, fingerprint),
            )

    # Within.

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._inside is not None:
            yield self._inside
            return
        with self._database.writing() as sql:
            self._inside = sql
            try:
                yield sql
            except sqlite3.IntegrityError as error:  # nothing here breaks a rule of a sound file
                raise damaged(self.path, "gallery", error) from error
            finally:
                self._inside = None

    def _remove_if_empty(self, made: list[Path]) -> None:
        with contextlib.suppress(StoreError, OSError), self._writing() as sql:
            if sql.execute("SELECT count(*) FROM person").fetchone() == (0,):
                self.path.unlink()
                for folder in made[1:]:
                    folder.rmdir()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with contextlib.ExitStack() as stack:
            yield self._inside or stack.enter_context(self._database.reading())

    def _known(self, sql: sqlite3.Connection, name: str) -> tuple[int, str, str]:
        found = rows.find_speaker(sql, name)
        if found is not None:
            return found
        names = [known for (known,) in rows.checked(sql.execute("SELECT name FROM person"), str)]
        near = " or ".join(shown(known) for known in nearest_names(name, names))
        step = f"did you mean {near}?" if near else "`diarize gallery` lists who is there"
        raise ConfigError(f"no speaker in the gallery is called {shown(name)}: {step}")

    def _changed(self) -> StoreError:
        return StoreError(
            f"the gallery {str(self.path)!r} was changed by another program meanwhile: try again"
        )

    def _check_fingerprint(self, sql: sqlite3.Connection, fingerprint: str, embedder: str) -> None:
        others = rows.speakers_of_another(sql, fingerprint)
        if not others:
            return
        found = sql.execute(
            "SELECT embedder, fingerprint FROM exemplar WHERE fingerprint != ? LIMIT 1",
            (fingerprint,),
        )
        ((known, old),) = rows.checked(found, str, str, count=1)
        kept = {
            name
            for (name,) in sql.execute(
                "SELECT name FROM person WHERE id IN"
                " (SELECT person FROM sound WHERE kept IS NOT NULL)"
            )
        }
        steps, setting = [], ""  # the step of the setting is the last
        lost = [name for name in others if name not in kept]
        if lost:
            who = ", ".join(map(shown, lost[:3])) + (", ..." if len(lost) > 3 else "")
            steps.append(f"forget and enroll again {who}, of whom no sound was kept")
        if known != embedder:
            steps.append(f"use the embedder {known!r}")
            setting = "embedder"
        if len(lost) < len(others):
            steps.append("embed the kept sounds again")
            setting = "reembed"
        raise StoreError(
            f"the gallery {str(self.path)!r} holds vectors of the embedder {known!r} ({old}) and "
            f"{embedder or 'the one'!r} ({fingerprint}) is in use: {', or '.join(steps)}",
            setting=setting,
        )

    def _check_one_space(self, sql: sqlite3.Connection, *speakers: int) -> None:
        found = sql.execute(
            "SELECT DISTINCT fingerprint FROM exemplar JOIN sound ON sound.id = sound"
            f" WHERE person IN ({', '.join('?' * len(speakers))})",
            speakers,
        ).fetchall()
        if len(found) > 1:
            raise StoreError(
                f"their vectors in the gallery {str(self.path)!r} are of two embedders "
                f"({', '.join(sorted(str(f) for (f,) in found))}): forget one of them"
            )


def _absent(path: Path) -> list[Path]:
    """The file and those folders above it that are not there, the deepest first."""
    try:
        return [place for place in (path, *path.parents) if not place.exists()]
    except (OSError, ValueError):
        return []
