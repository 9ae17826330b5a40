/* latchkey.c - the program of the initramfs: verbs and main. */
#include "app.h"

static const struct lk_verb verbs[] = {
    {"unlock", "[NAME]...", "open the volumes (default: every NAME.conf) with cryptsetup",
	lk_verb_unlock},
    {"key", "[NAME]", "write one volume's key to standard output", lk_verb_key},
    {"release", "", "write the released key (PKCS#8 DER, or the bytes of an oct key)",
	lk_verb_release},
    {"attest", "", "write the attestation token", lk_verb_attest},
    {"probe", "[NAME]", "try every step and say what to do about what fails", lk_verb_probe},
    {"status", "[NAME]...", "what the last unlock of each volume did", lk_verb_status},
    {"version", "", "the version", lk_verb_version},
};

int main(int argc, char *argv[])
{
	return lk_app_main("latchkey",
	    "latchkey opens a confidential VM's encrypted disk with a key released by remote "
	    "attestation.",
	    verbs, sizeof(verbs) / sizeof(verbs[0]), argc, argv);
}
