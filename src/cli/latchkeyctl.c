/* latchkeyctl.c - the administrator's program: verbs and main. */
#include "app.h"
#include "ctl/bind_opts.h"
#include "ctl/ctl.h"

static const struct lk_verb verbs[] = {
    {"enroll", "DEVICE", "bind a LUKS2 volume: attest, release, add a key slot and a token",
	lk_verb_enroll},
    {"rotate", "NAME...", "to another key version, key, vault or attestation provider",
	lk_verb_rotate},
    {"remove", "NAME|DEVICE", "take bindings from a volume: key slot, token, settings",
	lk_verb_remove},
    {"list", "[NAME|DEVICE]...", "the bindings of volumes: state, key, and what a proof would need",
	lk_verb_list},
    {"policy", "", "write a release policy, or work out a launch measurement", lk_verb_policy},
    {"image-check", "[IMAGE]", "is all that the next boot needs inside the initramfs?",
	lk_verb_image_check},
    {"version", "", "the version", lk_verb_version},
};

int main(int argc, char *argv[])
{
	lk_luks2_more = lk_luks2_facts;
	lk_policy_options();
	lk_image_options();
	lk_bind_options();
	return lk_app_main("latchkeyctl",
	    "latchkeyctl binds LUKS2 volumes to a key that remote attestation releases.", verbs,
	    sizeof(verbs) / sizeof(verbs[0]), argc, argv);
}
