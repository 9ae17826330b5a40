"""Names, addresses and identities of the simulated cloud: the one table that everybody reads."""

IMDS = "169.254.169.254"
MAA = "192.0.2.10"          # sharedweu.weu.attest.azure.net and any other instance of that region
MAA2 = "192.0.2.11"         # sharedneu.neu.attest.azure.net: another issuer with other keys
VAULT = "192.0.2.20"
HSM = "192.0.2.30"
KDS = "192.0.2.40"          # kdsintf.amd.com: AMD's key distribution service
ADDRESSES = (IMDS, MAA, MAA2, VAULT, HSM, KDS)
# By fault endpoint.
LISTENERS = {"imds": (IMDS, 80), "maa": (MAA, 443), "maa2": (MAA2, 443), "vault": (VAULT, 443),
             "hsm": (HSM, 443), "kds": (KDS, 443)}
ADMIN = ("127.0.0.1", 8099)
DNS = ("127.0.0.1", 53)

MAA_HOST = "sharedweu.weu.attest.azure.net"
MAA2_HOST = "sharedneu.neu.attest.azure.net"
VAULT_HOST = "demo-vault.vault.azure.net"
HSM_HOST = "demo-hsm.managedhsm.azure.net"
KDS_HOST = "kdsintf.amd.com"

# What the DNS server answers.  192.0.2.99 is on no interface: connecting fails at once.
HOSTS = {
    MAA_HOST: MAA,
    "demo.weu.attest.azure.net": MAA,
    MAA2_HOST: MAA2,
    VAULT_HOST: VAULT,
    "demo-vault.vault.azure.cn": VAULT,
    "demo-vault.vault.usgovcloudapi.net": VAULT,
    HSM_HOST: HSM,
    KDS_HOST: KDS,
    "demo-hsm.managedhsm.azure.cn": HSM,
    "demo-hsm.managedhsm.usgovcloudapi.net": HSM,
    # A private cloud with a domain of its own, and a vault in Azure under a name of its owner's.
    "demo.attest.private.example": MAA,
    "demo-vault.vault.private.example": VAULT,
    "keys.private.example": VAULT,
    "wrong-name.example": VAULT,        # resolves to the vault, whose certificate is not for it
    "unreachable.weu.attest.azure.net": "192.0.2.99",
    "unreachable.vault.azure.net": "192.0.2.99",
}

# Audience of the bearer token by host suffix (protocol: one resource per cloud and service).
RESOURCES = {
    "vault.azure.net": "https://vault.azure.net",
    "managedhsm.azure.net": "https://managedhsm.azure.net",
    "vault.azure.cn": "https://vault.azure.cn",
    "managedhsm.azure.cn": "https://managedhsm.azure.cn",
    "vault.usgovcloudapi.net": "https://vault.usgovcloudapi.net",
    "managedhsm.usgovcloudapi.net": "https://managedhsm.usgovcloudapi.net",
    "vault.private.example": "https://vault.private.example",
    "keys.private.example": "https://vault.azure.net",
}

TENANT = "72f9a3c1-5b0e-4f7e-9a46-1d2b3c4d5e6f"
SUBSCRIPTION = "3b1f6c2e-7a94-4d05-8e2b-9c0d1e2f3a4b"
GROUP = "/subscriptions/%s/resourcegroups/demo" % SUBSCRIPTION
VM_ID = "D270E56B-F668-4990-A5BC-9B624576841D"

# The VM's managed identities.  `roles` says on which services the identity may release keys.
IDENTITIES = [
    {"name": "system", "kind": "system",
     "client_id": "0d6f4f5a-1c1b-4a35-9c55-6b5a1f0e2d11",
     "object_id": "a5b0c3de-2f41-4c58-8a5e-7a1b2c3d4e01",
     "msi_res_id": GROUP + "/providers/Microsoft.Compute/virtualMachines/demo-vm",
     "roles": ["vault", "hsm"]},
    {"name": "user-release", "kind": "user",
     "client_id": "1e7a5a6b-2d2c-4b46-8d66-7c6b2a1f3e22",
     "object_id": "b6c1d4ef-3052-4d69-9b6f-8b2c3d4e5f02",
     "msi_res_id": GROUP + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/release",
     "roles": ["vault", "hsm"]},
    {"name": "user-norole", "kind": "user",
     "client_id": "2f8b6b7c-3e3d-4c57-9e77-8d7c3b2a4f33",
     "object_id": "c7d2e5fa-4163-4e7a-8c70-9c3d4e5f6a03",
     "msi_res_id": GROUP + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/norole",
     "roles": []},
]


def resource_of(host):
    """The audience that a service under this host name expects, or None."""
    for suffix, resource in RESOURCES.items():
        if host == suffix or host.endswith("." + suffix):
            return resource
    return None
