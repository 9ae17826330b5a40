"""Key release policies: check the text, evaluate it (protocol/snp-maa-akv.md, section 5)."""

OPERATORS = ("equals", "notEquals", "less", "lessOrEquals", "greater", "greaterOrEquals", "exists")
MAX_DEPTH = 16


class PolicyError(ValueError):
    """The text is no release policy."""


def _check_condition(node, depth):
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        raise PolicyError("a condition is not an object, or nested too deeply")
    for word in ("allOf", "anyOf"):
        if word in node:
            if len(node) != 1:
                raise PolicyError("'%s' beside other members" % word)
            return _check_list(node[word], depth + 1)
    rest = [name for name in node if name != "claim"]
    if not isinstance(node.get("claim"), str) or not node["claim"]:
        raise PolicyError("a condition without 'claim'")
    if len(rest) != 1 or rest[0] not in OPERATORS:
        raise PolicyError("a condition needs exactly one operator of %s" % ", ".join(OPERATORS))
    value = node[rest[0]]
    if not isinstance(value, (str, int, float, bool)):
        raise PolicyError("the value of '%s' is not a string, number or boolean" % rest[0])
    if rest[0] == "exists" and truth(value) is None:
        raise PolicyError("'exists' takes true or false")
    return None


def _check_list(nodes, depth):
    if not isinstance(nodes, list) or not nodes:
        raise PolicyError("'allOf' and 'anyOf' take a list that is not empty")
    for node in nodes:
        _check_condition(node, depth)


def check(policy):
    """Raise PolicyError unless this JSON value is a well-formed policy."""
    if not isinstance(policy, dict) or set(policy) != {"version", "anyOf"}:
        raise PolicyError("a policy has exactly the members 'version' and 'anyOf'")
    if policy["version"] not in ("1.0.0", "1.0", "0.2"):
        raise PolicyError("unknown policy version")
    if not isinstance(policy["anyOf"], list) or not policy["anyOf"]:
        raise PolicyError("'anyOf' takes a list that is not empty")
    for clause in policy["anyOf"]:
        words = set(clause) - {"authority"} if isinstance(clause, dict) else set()
        if len(words) != 1 or not words <= {"allOf", "anyOf"}:
            raise PolicyError("a clause has 'authority' and exactly one of 'allOf' and 'anyOf'")
        authority = clause.get("authority")
        if not isinstance(authority, str) or not authority.startswith("https://"):
            raise PolicyError("'authority' is not an https URL")
        _check_list(clause[words.pop()], 1)


def truth(value):
    """True or False for a boolean or its text, None for anything else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


_MISSING = object()


def look_up(claims, path):
    """The claim at a dotted path.  A member whose own name has dots is found as well."""
    if not isinstance(claims, dict):
        return _MISSING
    if path in claims:
        return claims[path]
    at = path.find(".")
    while at >= 0:
        if path[:at] in claims:
            found = look_up(claims[path[:at]], path[at + 1:])
            if found is not _MISSING:
                return found
        at = path.find(".", at + 1)
    return _MISSING


def _number(value):
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    try:
        return int(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _equal(claim, value):
    """Equality across the spellings of booleans ("true", true) and numbers ("0", 0)."""
    if isinstance(claim, (dict, list)) or claim is None:
        return False
    if isinstance(claim, bool) or isinstance(value, bool):
        return truth(claim) is not None and truth(claim) == truth(value)
    if isinstance(claim, str) and isinstance(value, str):
        return claim == value
    return _number(claim) is not None and _number(claim) == _number(value)


def _condition(node, claims):
    """One leaf condition.  A missing claim meets nothing but `exists: false`."""
    operator = next(name for name in node if name != "claim")
    claim, value = look_up(claims, node["claim"]), node[operator]
    if operator == "exists":
        return (claim is not _MISSING) == truth(value)
    if claim is _MISSING or isinstance(claim, (dict, list)) or claim is None:
        return False
    if operator in ("equals", "notEquals"):
        return _equal(claim, value) == (operator == "equals")
    left, right = _number(claim), _number(value)
    if left is None or right is None:
        return False
    return {"less": left < right, "lessOrEquals": left <= right, "greater": left > right,
            "greaterOrEquals": left >= right}[operator]


def met(node, claims):
    """Does a (checked) clause or condition hold?"""
    if "allOf" in node:
        return all(met(child, claims) for child in node["allOf"])
    if "anyOf" in node:
        return any(met(child, claims) for child in node["anyOf"])
    return _condition(node, claims)


def normal(authority):
    """An authority as it is compared with a token's issuer."""
    return authority.rstrip("/").lower()


def clauses_for(policy, issuer):
    """The clauses of a policy that name this issuer."""
    return [c for c in policy["anyOf"]
            if isinstance(issuer, str) and normal(c["authority"]) == normal(issuer)]
