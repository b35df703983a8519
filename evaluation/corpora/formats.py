"""Endings of audio files: those whose formats libsndfile reads, and those that are audio all the same."""

import soundfile

# libsndfile's formats with the endings of their files, those that lose nothing first: of two files of one recording
# the earlier ending is read. Left out are formats whose endings mostly hold other things (.mat, .htk, .iff, .mpc).
FORMATS = {
    "WAV": (".wav", ".wave", ".bwf"),
    "FLAC": (".flac",),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "CAF": (".caf",),
    "AU": (".au", ".snd"),
    "W64": (".w64",),
    "RF64": (".rf64",),
    "NIST": (".sph", ".nist"),
    "VOC": (".voc",),
    "AVR": (".avr",),
    "IRCAM": (".sf", ".ircam"),
    "PAF": (".paf",),
    "PVF": (".pvf",),
    "SVX": (".svx", ".8svx"),
    "WVE": (".wve",),
    "OGG": (".ogg", ".oga", ".opus"),
    "MP3": (".mp3", ".mp2"),
    "RAW": (".gsm", ".vox"),  # the headerless ones that libsndfile knows by their endings
}
AUDIO_SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
_AVAILABLE = soundfile.available_formats()  # libsndfile before 1.1 reads no MP3
READABLE = tuple(suffix for name, suffixes in FORMATS.items() if name in _AVAILABLE for suffix in suffixes)
# Sound and video that libsndfile does not read, and samples without a header.
UNREADABLE = (
    *(suffix for suffix in AUDIO_SUFFIXES if suffix not in READABLE),
    *".m4a .m4b .m4r .mp4 .aac .adts .alac .wma .wmv .asf .webm .weba .mka .mkv .mov .avi .flv .mpg .mpeg".split(),
    *".3gp .3g2 .amr .awb .ac3 .eac3 .dts .ape .wv .tta .tak .spx .shn .wv1 .wv2 .ra .rm .dsf .dff .raw .pcm".split(),
)

_ALL = frozenset((*AUDIO_SUFFIXES, *UNREADABLE))


def without_suffix(place: str) -> str:
    """'clips/a.wav' as 'clips/a'; other endings than those of audio belong to the name."""
    stem, dot, suffix = place.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in _ALL else place
