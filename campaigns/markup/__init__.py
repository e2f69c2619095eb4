"""Rules for what people write: conversion, frames, file types, links. No database."""
