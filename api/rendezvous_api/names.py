"""Every name by which the parts of the project, and its users, refer to something in a cluster."""

GROUP = "rdzv.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

RENDEZVOUS_KIND = "Rendezvous"
RENDEZVOUS_PLURAL = "rendezvous"
PARTICIPANT_KIND = "RendezvousParticipant"
PARTICIPANT_PLURAL = "rendezvousparticipants"
POD_KIND = "Pod"
POD_PLURAL = "pods"

LABEL_RENDEZVOUS = f"{GROUP}/rendezvous"
"""On a pod: the Rendezvous to which it belongs; it makes the pod *known* to the operator. Also on participants."""

LABEL_RUN_ID = f"{GROUP}/run-id"
"""On a pod: its workload, if its agent has no ``--rdzv-id``; each launch of it is a run."""

LABEL_EXCLUDE = f"{GROUP}/exclude"
"""On a pod, or on a machine: with any value but ``false``, its node is kept out of rounds."""

LABEL_CREATED_BY = f"{GROUP}/created-by"
"""On a Rendezvous: its creator. The operator deletes an unused one only if an agent created it."""

CREATED_BY_AGENT = "agent"

ANNOTATION_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Set by ``kubectl apply`` on what it has written."""

ANNOTATION_NETWORKS = "k8s.v1.cni.cncf.io/networks"
"""On a pod: further networks, whose addresses are not in its status (Multus)."""

LABEL_JOBSET_UID = "jobset.sigs.k8s.io/jobset-uid"
"""Set by JobSet on its pods; all child jobs of one JobSet are one workload, and each launch of it is a run."""

LABEL_JOBSET_NAME = "jobset.sigs.k8s.io/jobset-name"
"""Set by JobSet on its pods."""

LABEL_JOB_COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
"""Set by Kubernetes on the pods of an indexed Job."""

LABEL_ZONE = "topology.kubernetes.io/zone"
LABEL_REGION = "topology.kubernetes.io/region"
"""On a machine, and from Kubernetes 1.35 on, also on its pods."""

ANNOTATION_RESTART_REQUESTED_AT = f"{GROUP}/restart-requested-at"
"""On a Rendezvous: any new value asks for a new round (compare ``kubectl rollout restart``)."""

ANNOTATION_RETRY_AT = f"{GROUP}/retry-at"
"""On a Rendezvous: any new value lets all nodes that are held out take part again."""

CONDITION_RUNNING = "Running"
CONDITION_COMPLETE = "Complete"
CONDITION_FAILED = "Failed"
CONDITION_SUSPENDED = "Suspended"
CONDITION_DEGRADED = "Degraded"
CONDITION_RECONCILING = "Reconciling"
CONDITION_STALLED = "Stalled"
"""The last two are the words of kstatus (sigs.k8s.io/cli-utils), by which Flux, Helm and kpt know when to wait."""

UNNAMED_RUN = "none"
"""The run of agents without a run id; torch's own default for ``--rdzv-id`` (torch.distributed.run)."""

MAX_REFUSED = 100
MAX_HELD_OUT = 1000
"""Half of `MAX_NODES`: if more than half of a group reaches a store, the list has a place for all others."""
MAX_UNHEALTHY = 100
MAX_PASSED_OVER = 1000
MAX_CLOSED_RUNS = 100
MAX_HISTORY = 10
MAX_FAILURES = 101
"""A restart budget may count one less: the list has room for those that are allowed, and for one too many."""
MAX_MISSING = 10
MAX_MESSAGE_LENGTH = 1024
MAX_NODES = 2000
MAX_TOPOLOGY_KEYS = 16
"""As many as Kueue's Topology has levels."""
