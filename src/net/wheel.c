#include "net/wheel.h"

#include <stddef.h>

#define DIGIT_BITS 6

static void list_init(struct timer *head)
{
    head->next = head->previous = head;
}

static void list_append(struct timer *head, struct timer *timer)
{
    timer->next = head;
    timer->previous = head->previous;
    head->previous->next = timer;
    head->previous = timer;
}

void wheel_init(struct wheel *wheel, uint64_t now)
{
    wheel->tick = now / WHEEL_TICK;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        wheel->in_use[level] = 0;
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

static void place(struct wheel *wheel, struct timer *timer, uint64_t tick)
{
    uint64_t differing = tick ^ wheel->tick;
    int level = differing ? (63 - __builtin_clzll(differing)) / DIGIT_BITS : 0;
    uint64_t slot = tick >> level * DIGIT_BITS & (WHEEL_SLOTS - 1);
    list_append(&wheel->slots[level][slot], timer);
    wheel->in_use[level] |= UINT64_C(1) << slot;
}

/* Never before its time, so the tick is rounded up; and never in the tick that is running, or a
 * timer that starts itself for now would run for ever. */
void wheel_insert(struct wheel *wheel, struct timer *timer)
{
    uint64_t tick = timer->when / WHEEL_TICK + (timer->when % WHEEL_TICK != 0);
    place(wheel, timer, tick > wheel->tick ? tick : wheel->tick + 1);
}

void wheel_remove(struct timer *timer)
{
    timer->previous->next = timer->next;
    timer->next->previous = timer->previous;
    timer->next = timer->previous = NULL;
}

/* The first slot in use: its level, and the tick at which it begins. Returns its head, NULL when
 * all are empty. */
static struct timer *first_slot(struct wheel *wheel, int *ret_level, uint64_t *ret_tick)
{
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        while (wheel->in_use[level]) {
            uint64_t slot = (uint64_t)__builtin_ctzll(wheel->in_use[level]);
            struct timer *head = &wheel->slots[level][slot];
            if (head->next != head) {
                int shift = level * DIGIT_BITS;
                uint64_t above = wheel->tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
                *ret_level = level;
                *ret_tick = above | slot << shift;
                return head;
            }
            wheel->in_use[level] &= wheel->in_use[level] - 1;
        }
    }
    return NULL;
}

uint64_t wheel_next(struct wheel *wheel)
{
    int level;
    uint64_t tick;
    return first_slot(wheel, &level, &tick) ? tick * WHEEL_TICK : UINT64_MAX;
}

/* Empties a slot into a list of its own, so that what runs may fill the slot again. */
static void take_slot(struct timer *head, struct timer *list)
{
    list->next = head->next;
    list->previous = head->previous;
    list->next->previous = list;
    list->previous->next = list;
    list_init(head);
}

void wheel_advance(struct wheel *wheel, uint64_t now)
{
    struct timer list, *head;
    int level;
    uint64_t tick, target = now / WHEEL_TICK;
    while ((head = first_slot(wheel, &level, &tick)) && tick <= target) {
        wheel->tick = tick;
        take_slot(head, &list);
        while (list.next != &list) {
            struct timer *timer = list.next;
            wheel_remove(timer);
            if (timer->when > tick * WHEEL_TICK)
                wheel_insert(wheel, timer);
            else if (level == 0)
                timer->run(timer);
            else
                place(wheel, timer,
                      tick); /* due right now, after those of this slot that were due before */
        }
    }
    if (wheel->tick < target)
        wheel->tick = target;
}
