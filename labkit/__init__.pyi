# Public names of labkit; see `analysis.lazy_names`.
from analysis.counting.count import count as count
from analysis.counts import Counts as Counts
from analysis.evaluation import Evaluation as Evaluation
from analysis.evaluation import analyse as analyse
from analysis.evaluation import evaluate as evaluate
from analysis.gates import Gate as Gate
from analysis.gates import GateSet as GateSet
from analysis.tagfile.conversion import convert as convert
from analysis.tagfile.formats import open_tags
from analysis.witness.estimate import witness as witness
from labkit.experiment import Experiment as Experiment
from labkit.experiment import read_experiment as read_experiment
from labkit.experiment import run_experiment as run_experiment
from labkit.model_file import read_model as read_model
from labkit.run.folder import list_runs as list_runs
from labkit.run.folder import open_run as open_run
from labkit.sequence.pulses import Pulse as Pulse
from labkit.sequence.pulses import PulseSequence as PulseSequence
from labkit.station.lab import open_lab as open_lab
from simulation.inference.planning import plan_witness
from simulation.theory.models import point as point
from simulation.theory.models import sweep as sweep
from simulation.theory.optimum import optimise as optimise
from simulation.theory.optimum import sensitivity as sensitivity

__version__: str

read = open_tags
plan = plan_witness
