"""The trainer: from a dataset of the contract to a scored, reported case/control network.

Imports torch, Petastorm (in `train.data` alone) and Horovod (in `train.distributed` alone), never Hail or `etl`.
"""
