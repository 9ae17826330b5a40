/* request_id.h - a random UUID for x-ms-client-request-id, which the service's support asks for. */
#ifndef LK_REQUEST_ID_H
#define LK_REQUEST_ID_H

#include "lk/err.h"

#define LK_REQUEST_ID 37

LK_CHECK enum lk_code lk_request_id(char out[static LK_REQUEST_ID], struct lk_err *e);

#endif
