/* What the core uses of the C library, so that none is needed; see start.c. */
#ifndef ANIMAFACE_STRING_H
#define ANIMAFACE_STRING_H

#include <stddef.h>

void *memset(void *to, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);
int memcmp(const void *a, const void *b, size_t size);

#endif
