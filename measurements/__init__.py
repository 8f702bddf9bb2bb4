"""The shared vocabulary: record schema, storage and recorded data.

>>> from measurements import DATA, scan
>>> found = scan(DATA)
>>> for problem in found.problems:
...     print(problem)
"""

from measurements.context import Ceilings, Machine, ModelInfo, PromptSet, Sampling
from measurements.files import RecordError
from measurements.identity import SCHEMA_VERSION
from measurements.importing import Imported, import_records
from measurements.method_tables import ROUNDS_SCHEMA, WINDOWS_SCHEMA, as_rounds, as_windows
from measurements.naming import canonical_parameters, new_record_id, utc_now
from measurements.scan import Scan, scan
from measurements.schema import (
    AutoregressiveRow,
    ComparisonRecord,
    ErrorRow,
    Fidelities,
    MethodRow,
    ProfileHeader,
    ProfileRecord,
    PromptRow,
    RoundsRow,
    SettingRow,
    SpeedupRow,
    Spread,
    StudyRecord,
    TraceInfo,
    ValidationRecord,
    ValidationSummary,
)
from measurements.search_runs import (
    SearchRun,
    load_search_runs,
    merge_search_runs,
    save_search_run,
)
from measurements.server_record import (
    MeasuredPredicted,
    ServedAnswer,
    ServedSetting,
    ServedWave,
    ServerRecord,
)
from measurements.store import (
    DATA,
    Profile,
    load_profile,
    load_server,
    load_validation,
    read_record,
    save_profile,
    save_record,
    save_validation,
)
from measurements.tables import STAGE_NAMES, STAGES_SCHEMA, TRACE_SCHEMA, as_stages, as_trace

__all__ = [
    "DATA",
    "ROUNDS_SCHEMA",
    "SCHEMA_VERSION",
    "STAGES_SCHEMA",
    "STAGE_NAMES",
    "TRACE_SCHEMA",
    "WINDOWS_SCHEMA",
    "AutoregressiveRow",
    "Ceilings",
    "ComparisonRecord",
    "ErrorRow",
    "Fidelities",
    "Imported",
    "Machine",
    "MeasuredPredicted",
    "MethodRow",
    "ModelInfo",
    "Profile",
    "ProfileHeader",
    "ProfileRecord",
    "PromptRow",
    "PromptSet",
    "RecordError",
    "RoundsRow",
    "Sampling",
    "Scan",
    "SearchRun",
    "ServedAnswer",
    "ServedSetting",
    "ServedWave",
    "ServerRecord",
    "SettingRow",
    "SpeedupRow",
    "Spread",
    "StudyRecord",
    "TraceInfo",
    "ValidationRecord",
    "ValidationSummary",
    "as_rounds",
    "as_stages",
    "as_trace",
    "as_windows",
    "canonical_parameters",
    "import_records",
    "load_profile",
    "load_search_runs",
    "load_server",
    "load_validation",
    "merge_search_runs",
    "new_record_id",
    "read_record",
    "save_profile",
    "save_record",
    "save_search_run",
    "save_validation",
    "scan",
    "utc_now",
]
