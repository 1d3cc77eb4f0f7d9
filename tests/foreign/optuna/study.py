"""An optimisation in Optuna, which keeps it with SQLAlchemy and Alembic in whichever database STORAGE names.

  study.py make          makes the tables by Optuna's own migrations
  study.py fill TRIALS   two studies, one with two objectives; the same number makes the same rows
  study.py show          everything that Optuna says of them, as JSON
  study.py add           one more row in every table
"""

import json
import os
import sys
import warnings
from datetime import datetime, timedelta, timezone

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.ERROR)
BEGINNING = datetime(2024, 2, 29, 23, 59, 58, 123456)


def storage():
    """Optuna's tables, made and brought up to date where that is needed. A heartbeat tells that a trial is alive."""
    return optuna.storages.RDBStorage(os.environ["STORAGE"], heartbeat_interval=60)


def trial(n, values, state=TrialState.COMPLETE):
    made = create_trial(
        state=state,
        values=values,
        params={"rate": 0.1 / (n + 1), "layers": n % 7, "kind": ["relu", None, "żółw", True][n % 4]},
        distributions={
            "rate": FloatDistribution(1e-9, 1.0, log=True),
            "layers": IntDistribution(0, 10),
            "kind": CategoricalDistribution(["relu", None, "żółw", True]),
        },
        user_attrs={"note": f"„{n}” 'quoted' \\ {{}}", "sizes": [n, n / 3, None]},
        system_attrs={"seed": n},
        intermediate_values={0: n / 7, 1: float("inf"), 2: float("nan"), 3: -1e-300} if len(values or [0]) == 1 else None,
    )
    made.datetime_start = BEGINNING + timedelta(seconds=n, microseconds=n % 2)
    made.datetime_complete = made.datetime_start + timedelta(minutes=n) if state.is_finished() else None
    return made


def fill(kept, trials):
    one = optuna.create_study(storage=kept, study_name="one objective", direction="maximize")
    one.set_user_attr("owner", {"name": "Łódź", "age": 7})
    kept.set_study_system_attr(one._study_id, "made by", [1, 2.5, None])
    for n in range(trials):
        one.add_trial(trial(n, [[n / 3, -0.0, float("inf"), 1e308][n % 4]]))
    one.add_trial(trial(trials, None, TrialState.FAIL))
    one.enqueue_trial({"rate": 0.5}, user_attrs={"waits": True})
    two = optuna.create_study(storage=kept, study_name="two; DROP TABLE objectives", directions=["minimize", "maximize"])
    for n in range(3):
        two.add_trial(trial(n, [float(n), 1 / (n + 1)]))
    # One that runs, and gives a sign of life.
    running = kept.create_new_trial(one._study_id)
    kept.record_heartbeat(running)


def shown(kept):
    for study in sorted(kept.get_all_studies(), key=lambda s: s._study_id):
        yield {
            "name": study.study_name,
            "directions": [direction.name for direction in study.directions],
            "attributes": [study.user_attrs, study.system_attrs],
            "trials": [
                {
                    "number": t.number,
                    "state": t.state.name,
                    "values": t.values and [repr(v) for v in t.values],
                    "params": t.params,
                    "distributions": {name: repr(d) for name, d in sorted(t.distributions.items())},
                    "attributes": [t.user_attrs, t.system_attrs],
                    "intermediate": {step: repr(v) for step, v in sorted(t.intermediate_values.items())},
                    "times": [str(t.datetime_start), str(t.datetime_complete)],
                }
                for t in kept.get_all_trials(study._study_id)
            ],
        }


def add(kept):
    study = optuna.create_study(storage=kept, study_name=f"added {datetime.now(timezone.utc).isoformat()}", directions=["minimize"])
    study.set_user_attr("added", True)
    kept.set_study_system_attr(study._study_id, "added", True)
    study.add_trial(trial(1, [0.5]))
    kept.record_heartbeat(kept.create_new_trial(study._study_id))


if __name__ == "__main__":
    kept = storage()
    match sys.argv[1:]:
        case ["make"]:
            pass
        case ["fill", trials]:
            fill(kept, int(trials))
        case ["show"]:
            print(json.dumps(list(shown(kept)), sort_keys=True))
        case ["add"]:
            add(kept)
        case _:
            sys.exit(__doc__)
