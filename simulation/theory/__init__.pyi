# Public names of the theory; see `analysis.lazy_names`.
from simulation.theory.models import MODELS as MODELS
from simulation.theory.models import Model as Model
from simulation.theory.models import get
from simulation.theory.models import point as point
from simulation.theory.models import sweep as sweep
from simulation.theory.optimum import Optimum as Optimum
from simulation.theory.optimum import optimise as optimise
from simulation.theory.optimum import sensitivity as sensitivity

get_model = get
