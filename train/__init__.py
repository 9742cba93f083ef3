"""The trainer: from a dataset of the contract to a scored, reported case/control network.

Imports torch, Petastorm (`train.petastorm_reader` alone) and Horovod (`train.distributed` alone), never
Hail or `etl`.
"""
