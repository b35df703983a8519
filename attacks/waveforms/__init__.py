"""Attacks that see encrypted waveforms and no model.

`sign_chain`, `sample_order`, `signed_order`, `block_pattern`, `polyphase`, `polyphase_of_many`, `oblique_polyphase`,
`shared_samples`, `linear_prediction`, `whitened_prediction` and `independent_components` are the attacks; the files
named `…_settings` hold their tuning constants, and the other files are their parts.
"""
