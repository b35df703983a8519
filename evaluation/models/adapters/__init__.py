"""Adapters: models of others, opened from their own files so that a key fits their first layer.

A file for each family: speaker models (RawNeXt, GE2E, x-vectors), recognisers (Whisper, CTC, ESPnet, external commands)
and scene classifiers (timm). `pretrained` opens those of Hugging Face.
"""
